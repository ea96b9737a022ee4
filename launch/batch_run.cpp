#include "launch/batch_run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <set>
#include <utility>

#include "kernels/error.hpp"
#include "launch/end_signals.hpp"

namespace tutti {
namespace {

// While the engine has nothing to do: how soon signals and input are looked at again.
constexpr std::chrono::milliseconds kIdleLook{20};
// Of prompts that have not begun, samples counted each: the engine keeps their ids.
constexpr std::size_t kMostWaitingTokens = std::size_t{4} << 20;

std::int64_t unix_time() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

BatchRun::BatchRun(Engine& engine, ControlPlane& control, BatchSource& source, BatchOutput& output,
                   BatchMonitor& monitor, const BatchModel& model, SpellToken spell,
                   BatchRunOptions options)
    : engine_(engine),
      control_(control),
      source_(source),
      output_(output),
      monitor_(monitor),
      model_(model),
      spell_(std::move(spell)),
      options_(std::move(options)),
      start_(Clock::now()) {}

void BatchRun::run() {
  while (true) {
    look_for_reasons_to_stop();
    if (stopped_by_.empty()) {
      admit();
    } else if (Clock::now() >= *grace_end_) {
      cancel_all(true);
    }
    output_.write_out();
    if (engine_.idle()) {
      if (!stopped_by_.empty() || input_ended()) {
        break;
      }
      source_.wait(kIdleLook);
    } else {
      engine_.step([this](const TokenEvent& event) { hear(event); });
    }
    if (monitor_.due()) {
      monitor_.look(status());
    }
  }
  output_.sync();
  if (input_failure_) {
    std::rethrow_exception(input_failure_);
  }
}

void BatchRun::look_for_reasons_to_stop() {
  while (const std::optional<int> word = control_.notified()) {
    stop(fmt::format("{} on another rank", EndSignals::name_of(*word)));
  }
  if (const auto signal = options_.signal ? options_.signal() : std::nullopt) {
    stop(EndSignals::name_of(*signal));
  }
  if (options_.stop_at && Clock::now() >= *options_.stop_at) {
    stop("the time limit");
  }
}

// Begins no more, lets those that have begun come to their end for a while. Whoever sent the
// signal may lose patience at once: all that is finished goes to the disk first.
void BatchRun::stop(const std::string& why) {
  if (!stopped_by_.empty()) {
    return;
  }
  stopped_by_ = why;
  grace_end_ = Clock::now() + options_.grace;
  output_.sync();
  source_.stop();
  cancel_all(false);
  std::set<const Open*> draining;
  for (const auto& [id, place] : open_) {
    if (place.open->begun) {
      draining.insert(place.open.get());
    }
  }
  monitor_.say(fmt::format("tutti: {}: no more requests are begun, {} that have begun get {:.0f} s",
                           why, draining.size(),
                           std::chrono::duration<double>(options_.grace).count()));
}

void BatchRun::cancel(const Open& open) {
  for (std::size_t i = 0; i < open.samples.size(); ++i) {
    engine_.cancel(open.first_id + i);
  }
}

// What has not begun, and what has where `begun_too`.
void BatchRun::cancel_all(bool begun_too) {
  for (const auto& [id, place] : open_) {
    if (begun_too || !place.open->begun) {
      engine_.cancel(id);
    }
  }
}

// An input that breaks off is told when what it gave is answered.
bool BatchRun::input_ended() {
  try {
    return source_.ended();
  } catch (const Error&) {
    input_failure_ = std::current_exception();
    return true;
  }
}

void BatchRun::admit() {
  while (engine_.waiting() < options_.waiting_ahead && waiting_tokens_ < kMostWaitingTokens) {
    std::optional<BatchItem> item = source_.take();
    if (!item) {
      return;
    }
    if (item->again) {
      tell_again(item->request);
    }
    if (item->refusal) {
      refuse(*item, *item->refusal, item->hash);
    } else {
      submit(std::move(*item));
    }
  }
}

void BatchRun::tell_again(const BatchRequest& request) {
  constexpr std::uint64_t kNamed = 3;
  if (++told_again_ <= kNamed) {
    monitor_.say(fmt::format("'{}' (line {}) is not what an earlier run answered: once more{}",
                             request.custom_id, request.line,
                             told_again_ == kNamed ? "; and so on" : ""));
  }
}

void BatchRun::submit(BatchItem item) {
  auto open = std::make_shared<Open>();
  open->hash = item.hash;
  open->again = item.again;
  open->prompt_tokens = item.prompt.size();
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
    refuse_late(item, "does_not_fit", error.what());
    return;
  } catch (const ConfigError& error) {
    refuse_late(item, "invalid_request", error.what());
    return;
  }
  open->request = std::move(item.request);
  waiting_tokens_ += open->prompt_tokens * open->samples.size();
}

// The engine calls it by a running number, which nobody knows.
void BatchRun::refuse_late(const BatchItem& item, const char* code, std::string message) {
  const std::string number = fmt::format("request {}", next_id_);
  if (const std::size_t at = message.find(number); at != std::string::npos) {
    message.replace(at, number.size(), "this request");
  }
  const std::uint64_t hash = hash_of({.code = code, .message = {}}, fmt::to_string(item.hash));
  if (output_.known(hash_of_id(item.request.custom_id), hash) == BatchOutput::Known::same) {
    ++skipped_late_;
  } else {
    refuse(item, {.code = code, .message = std::move(message)}, hash);
  }
}

void BatchRun::refuse(const BatchItem& item, const RequestRefusal& refusal, std::uint64_t hash) {
  const RecordMark mark{.id = hash_of_id(item.request.custom_id), .request = hash, .error = true};
  output_.append(mark, error_record(model_, item.request, hash, refusal));
  ++status_.errors;
  status_.again += item.again ? 1 : 0;
}

void BatchRun::hear(const TokenEvent& event) {
  const auto found = open_.find(event.request);
  if (found == open_.end()) {
    return;
  }
  const std::shared_ptr<Open> open = found->second.open;
  BatchSample& sample = open->samples[found->second.sample];
  if (event.token >= 0) {
    ++sample.tokens;
    if (!std::exchange(open->begun, true)) {
      waiting_tokens_ -= open->prompt_tokens * open->samples.size();
      status_.first_token.add(std::chrono::duration<double>(Clock::now() - open->asked).count());
    }
  }
  sample.text += event.text;
  if (event.logprob && open->request.sampling.logprobs) {
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

void BatchRun::close(const Open& open) {
  if (open.cancelled) {
    waiting_tokens_ -= open.begun ? 0 : open.prompt_tokens * open.samples.size();
    ++status_.cancelled;
    return;
  }
  const RecordMark mark{.id = hash_of_id(open.request.custom_id), .request = open.hash};
  output_.append(mark, answer_record(model_, open.request, open.hash, open.prompt_tokens,
                                     open.samples, spell_, unix_time()));
  ++status_.answered;
  status_.again += open.again ? 1 : 0;
  status_.prompt_tokens += open.prompt_tokens;
  for (const BatchSample& sample : open.samples) {
    status_.output_tokens += sample.tokens;
  }
  status_.latency.add(std::chrono::duration<double>(Clock::now() - open.asked).count());
}

BatchStatus BatchRun::status() const {
  BatchStatus status = status_;
  const BatchSourceCounts counts = source_.counts();
  status.read = counts.lines;
  status.skipped = counts.skipped + skipped_late_;
  const BatchInput& input = source_.input();
  if (counts.whole) {
    status.total = counts.lines;
  } else if (input.lines) {
    status.total = std::max(*input.lines, counts.lines);
  } else if (input.size && counts.bytes > 0) {
    status.total_exact = counts.bytes >= *input.size;
    const double share = static_cast<double>(counts.bytes) / static_cast<double>(*input.size);
    status.total = static_cast<std::uint64_t>(static_cast<double>(counts.lines) / share);
  }
  status.waiting = engine_.waiting();
  status.running = engine_.running();
  status.engine = engine_.counters();
  status.seconds = std::chrono::duration<double>(Clock::now() - start_).count();
  return status;
}

}  // namespace tutti
