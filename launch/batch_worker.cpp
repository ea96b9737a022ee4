#include "launch/batch_worker.hpp"

#include <fmt/format.h>

#include <utility>

#include "kernels/error.hpp"

namespace tutti {
namespace {

// Of prompts that have not begun, samples counted each: the engine keeps their ids.
constexpr std::size_t kMostWaitingTokens = std::size_t{4} << 20;

std::int64_t unix_time() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

BatchWorker::BatchWorker(Engine& engine, BatchModel model, SpellToken spell, std::size_t ahead)
    : engine_(engine), model_(std::move(model)), spell_(std::move(spell)), ahead_(ahead) {}

std::size_t BatchWorker::room() const {
  const std::size_t waiting = engine_.waiting();
  return waiting_tokens_ < kMostWaitingTokens && waiting < ahead_ ? ahead_ - waiting : 0;
}

void BatchWorker::take(BatchItem item) {
  taken_ += static_cast<std::uint64_t>(item.request.samples);
  auto open = std::make_shared<Open>();
  open->samples.resize(static_cast<std::size_t>(item.request.samples));
  open->left = open->samples.size();
  open->asked = Clock::now();
  open->first_id = next_id_;
  Request request{.prompt = item.prompt, .options = item.request.sampling};
  try {
    for (std::size_t i = 0; i < open->samples.size(); ++i) {
      request.id = next_id_;
      request.stream = draw_stream(item.request.custom_id, static_cast<int>(i));
      engine_.submit(request);
      open_.emplace(next_id_++, Place{open, i});
    }
  } catch (const CapacityError& error) {
    refuse(item, "does_not_fit", error.what());
    return;
  } catch (const ConfigError& error) {
    refuse(item, "invalid_request", error.what());
    return;
  }
  open->item = std::move(item);
  waiting_tokens_ += open->waiting_tokens();
}

// The engine calls it by a running number, which nobody knows.
void BatchWorker::refuse(const BatchItem& item, const char* code, std::string message) {
  const std::string number = fmt::format("request {}", next_id_);
  if (const std::size_t at = message.find(number); at != std::string::npos) {
    message.replace(at, number.size(), "this request");
  }
  const std::uint64_t hash = hash_of({.code = code, .message = {}}, fmt::to_string(item.hash));
  outcomes_.push_back({.kind = BatchOutcome::Kind::refused,
                       .mark = {.custom_id = {},
                                .id = hash_of_id(item.request.custom_id),
                                .request = hash,
                                .error = true},
                       .record = error_record(model_, item.request, hash,
                                              {.code = code, .message = std::move(message)}),
                       .again = item.again,
                       .samples = static_cast<std::uint64_t>(item.request.samples)});
}

void BatchWorker::drain() {
  for (const auto& [id, place] : open_) {
    if (!place.open->begun) {
      engine_.cancel(id);
    }
  }
}

void BatchWorker::cancel() {
  for (const auto& [id, place] : open_) {
    engine_.cancel(id);
  }
}

void BatchWorker::cancel(const Open& open) {
  for (std::size_t i = 0; i < open.samples.size(); ++i) {
    engine_.cancel(open.first_id + i);
  }
}

bool BatchWorker::step() {
  if (engine_.idle()) {
    return false;
  }
  const Clock::time_point begin = Clock::now();
  engine_.step([this](const TokenEvent& event) { hear(event); });
  busy_ += Clock::now() - begin;
  return true;
}

void BatchWorker::hear(const TokenEvent& event) {
  const auto found = open_.find(event.request);
  if (found == open_.end()) {
    return;
  }
  const std::shared_ptr<Open> open = found->second.open;
  BatchSample& sample = open->samples[found->second.sample];
  if (event.token >= 0) {
    ++sample.tokens;
    begin(*open);
  }
  sample.text += event.text;
  if (event.logprob && open->item.request.sampling.logprobs) {
    sample.events.push_back(event);
  }
  if (!event.finish) {
    return;
  }
  sample.finish = event.finish;
  open_.erase(found);
  if (event.finish == FinishReason::cancelled && !std::exchange(open->cancelled, true)) {
    cancel(*open);  // an answer without one of its samples is none
  }
  if (--open->left == 0) {
    close(*open);
  }
}

void BatchWorker::begin(Open& open) {
  if (!std::exchange(open.begun, true)) {
    ++begun_;
    waiting_tokens_ -= open.waiting_tokens();
    open.first_token_seconds = std::chrono::duration<double>(Clock::now() - open.asked).count();
  }
}

void BatchWorker::close(const Open& open) {
  begun_ -= open.begun ? 1 : 0;
  BatchOutcome& outcome = outcomes_.emplace_back();
  outcome.again = open.item.again;
  outcome.samples = open.samples.size();
  if (open.cancelled) {
    waiting_tokens_ -= open.begun ? 0 : open.waiting_tokens();
    outcome.kind = BatchOutcome::Kind::cancelled;
    return;
  }
  const BatchRequest& request = open.item.request;
  outcome.mark = {.custom_id = {}, .id = hash_of_id(request.custom_id), .request = open.item.hash};
  outcome.record = answer_record(model_, request, open.item.hash, open.item.prompt.size(),
                                 open.samples, spell_, unix_time());
  outcome.prompt_tokens = open.item.prompt.size();
  for (const BatchSample& sample : open.samples) {
    outcome.output_tokens += sample.tokens;
  }
  outcome.seconds = std::chrono::duration<double>(Clock::now() - open.asked).count();
  outcome.first_token_seconds = open.first_token_seconds;
}

ReplicaNews BatchWorker::news() {
  ReplicaNews news;
  news.state = {.asked = taken_ + room(),
                .begun = begun_,
                .waiting = engine_.waiting(),
                .running = engine_.running(),
                .busy_seconds = std::chrono::duration<double>(busy_).count(),
                .engine = engine_.counters()};
  news.outcomes = std::exchange(outcomes_, {});
  return news;
}

}  // namespace tutti
