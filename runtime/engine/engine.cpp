#include "runtime/engine/engine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "kernels/error.hpp"

namespace tutti {
namespace {

SchedulerLimits limits_of(const Model& model, const KvCache& cache, const EngineOptions& options) {
  return {.max_step_tokens = model.max_step_tokens(),
          .max_running = std::min({model.max_logit_rows(), model.max_step_tokens(),
                                   options.max_running.value_or(model.max_logit_rows())}),
          .page_size = cache.layout().page_size,
          .prefix_caching = options.prefix_caching};
}

void check_prompt(const Request& request, const Model& model) {
  const auto length = static_cast<std::int64_t>(request.prompt.size());
  if (length == 0) {
    throw ConfigError(fmt::format("the prompt of request {} is empty", request.id));
  }
  if (length >= model.context_length()) {
    throw ConfigError(fmt::format(
        "the prompt of request {} is {} tokens long, the model's context is {} tokens and the "
        "answer needs room too: shorten the prompt",
        request.id, length, model.context_length()));
  }
  for (const TokenId id : request.prompt) {
    if (id < 0 || id >= model.vocabulary()) {
      throw ConfigError(
          fmt::format("the prompt of request {} holds token id {}, the model's "
                      "vocabulary has {} rows: tokenizer and model do not fit",
                      request.id, id, model.vocabulary()));
    }
  }
}

bool ends_answer(TokenId id, const Request& request, const Tokenizer& tokenizer) {
  const auto holds = [id](const std::vector<TokenId>& ids) {
    return std::find(ids.begin(), ids.end(), id) != ids.end();
  };
  return (!request.options.ignore_eos && holds(tokenizer.special().eos)) ||
         holds(request.options.stop_ids);
}

}  // namespace

Engine::Engine(ControlPlane& control, Model& model, KvCache& cache, const Tokenizer& tokenizer,
               const EngineOptions& options)
    : control_(control),
      model_(model),
      cache_(cache),
      tokenizer_(tokenizer),
      scheduler_(limits_of(model, cache, options), cache.pages()),
      sampler_(model),
      timer_(model.device()) {
  count();
}

Engine::~Engine() = default;

void Engine::submit(const Request& asked) {
  const Request request = checked_request(asked, tokenizer_.special().eos, model_.vocabulary());
  check_prompt(request, model_);
  const auto prompt = static_cast<int>(request.prompt.size());
  const auto room = static_cast<int>(model_.context_length()) - prompt;
  const int max_new = std::min(request.options.max_tokens, room);
  was_idle_ = was_idle_ || idle();
  scheduler_.add(request.id, request.prompt, max_new);
  sequences_.emplace(request.id, Sequence{.request = request,
                                          .tokens = request.prompt,
                                          .text = AnswerText(tokenizer_, request.options.stop),
                                          .max_new_tokens = max_new,
                                          .serial = ++serial_});
}

void Engine::cancel(std::uint64_t request) {
  const auto found = sequences_.find(request);
  if (found != sequences_.end()) {
    found->second.cancelled = true;
    cancelled_.push_back(request);
  }
}

bool Engine::idle() const {
  return scheduler_.idle();
}

std::size_t Engine::waiting() const {
  return scheduler_.waiting();
}

std::size_t Engine::running() const {
  return scheduler_.running();
}

void Engine::count() {
  static_cast<ScheduleCounters&>(counters_) = scheduler_.counters();
}

void Engine::step(const TokenSink& sink) {
  drop_cancelled(sink);
  const bool launched = launch();
  const bool ahead = model_.samples() && launched && running_.back().ahead;
  while (running_.size() > (ahead ? 1 : 0)) {
    publish_oldest(sink);
  }
  count();
}

// False where there is nothing to do before the running steps' tokens are known.
bool Engine::launch() {
  const ScheduledStep step = scheduler_.next();
  give_up_slots();
  if (step.empty()) {
    return false;
  }
  const StepPlan plan = plan_of(step);
  std::vector<std::byte> bytes = plan.to_bytes();
  mid_step_ = true;
  control_.broadcast(bytes, 0);
  timer_.begin(!was_idle_);
  const StepOutput output = model_.forward(plan, cache_);
  timer_.end();
  Running running{.ticket = sampler_.fetch(output), .rows = {}};
  mid_step_ = false;
  was_idle_ = false;
  ++counters_.steps;
  for (const ScheduledChunk& chunk : step) {
    if (chunk.samples) {
      running.rows.push_back(expect(sequences_.at(chunk.id)));
      running.ahead = running.ahead && running.rows.back().ahead;
    }
  }
  running_.push_back(std::move(running));
  return true;
}

// A token of the sequence is on its way. Where the device draws it, the sequence goes on already.
Engine::Row Engine::expect(Sequence& sequence) {
  const bool ahead = !sampler_.draws_here(sequence);
  if (ahead) {
    sequence.tokens.push_back(kUnheard);
    if (sequence.new_tokens() < sequence.max_new_tokens) {
      scheduler_.go_ahead(sequence.request.id);
    }
  }
  return {.request = sequence.request.id, .serial = sequence.serial, .ahead = ahead};
}

void Engine::run_until_idle(const TokenSink& sink) {
  while (!idle()) {
    step(sink);
  }
}

void Engine::stop() {
  std::vector<std::byte> bytes = StepPlan().to_bytes();
  control_.broadcast(bytes, 0);
}

StepPlan Engine::plan_of(const ScheduledStep& step) {
  const int page_size = cache_.layout().page_size;
  StepPlan plan;
  plan.query_begin.push_back(0);
  for (const ScheduledChunk& chunk : step) {
    plan.max_blocks =
        std::max(plan.max_blocks, (chunk.first + chunk.count + page_size - 1) / page_size);
  }
  for (const ScheduledChunk& chunk : step) {
    Sequence& sequence = sequences_.at(chunk.id);
    sampler_.admit(sequence, plan);
    const std::vector<PageId>& pages = scheduler_.pages(chunk.id);
    for (int position = chunk.first; position < chunk.first + chunk.count; ++position) {
      plan.token_ids.push_back(sequence.tokens[static_cast<std::size_t>(position)]);
      plan.positions.push_back(position);
      plan.sources.push_back(sampler_.source_of(sequence, position));
      plan.slots.push_back(pages[static_cast<std::size_t>(position / page_size)] * page_size +
                           position % page_size);
    }
    plan.query_begin.push_back(plan.tokens());
    plan.context_length.push_back(chunk.first + chunk.count);
    for (int block = 0; block < plan.max_blocks; ++block) {
      const auto index = static_cast<std::size_t>(block);
      plan.block_table.push_back(index < pages.size() ? pages[index] : 0);
    }
    if (chunk.samples) {
      plan.logit_rows.push_back(plan.tokens() - 1);
      sampler_.add_rule(sequence, plan);
    }
  }
  return plan;
}

void Engine::drop_cancelled(const TokenSink& sink) {
  while (!cancelled_.empty()) {
    const std::uint64_t id = cancelled_.front();
    cancelled_.pop_front();
    const auto found = sequences_.find(id);
    if (found == sequences_.end() || !found->second.cancelled) {
      continue;  // it has ended since; what has its id now is another
    }
    const std::string text = found->second.text.finish();
    forget(id);
    sink({.request = id, .text = text, .finish = FinishReason::cancelled});
  }
}

// Who gave way is computed again from ids that the host knows by then, in a slot of its own.
void Engine::give_up_slots() {
  for (const std::uint64_t id : scheduler_.preempted()) {
    Sequence& sequence = sequences_.at(id);
    sampler_.release(sequence);
    sequence.slot = -1;
  }
}

void Engine::forget(std::uint64_t request) {
  sampler_.release(sequences_.at(request));
  scheduler_.finish(request);
  sequences_.erase(request);
}

Sequence* Engine::find(const Row& row) {
  const auto found = sequences_.find(row.request);
  return found != sequences_.end() && found->second.serial == row.serial ? &found->second : nullptr;
}

void Engine::publish_oldest(const TokenSink& sink) {
  const Running running = std::move(running_.front());
  running_.pop_front();
  std::vector<const Sequence*> sequences;
  for (const Row& row : running.rows) {
    sequences.push_back(find(row));
  }
  mid_step_ = true;
  std::vector<SampledToken> tokens = sampler_.draw(running.ticket, sequences);
  mid_step_ = false;
  timer_.count(counters_);
  for (std::size_t i = 0; i < running.rows.size(); ++i) {
    Sequence* sequence = find(running.rows[i]);
    if (sequence == nullptr) {
      continue;
    }
    const TokenEvent event = extend(*sequence, std::move(tokens[i]));
    ++counters_.output_tokens;
    if (event.finish) {
      forget(event.request);
    } else {
      scheduler_.hear(event.request, event.token);
    }
    sink(event);
  }
}

TokenEvent Engine::extend(Sequence& sequence, SampledToken sampled) const {
  const std::size_t place =
      sequence.request.prompt.size() + static_cast<std::size_t>(sequence.heard);
  sequence.tokens.resize(std::max(sequence.tokens.size(), place + 1));
  sequence.tokens[place] = sampled.id;
  ++sequence.heard;
  TokenEvent event{.request = sequence.request.id,
                   .token = sampled.id,
                   .logprob = sampled.logprob,
                   .top = std::move(sampled.top)};
  if (ends_answer(sampled.id, sequence.request, tokenizer_)) {
    event.finish = FinishReason::stop;
  } else {
    event.text = sequence.text.push(sampled.id);
    if (sequence.text.stopped()) {
      event.finish = FinishReason::stop;
    } else if (sequence.heard >= sequence.max_new_tokens) {
      event.finish = FinishReason::length;
    }
  }
  if (event.finish) {
    event.text += sequence.text.finish();
  }
  return event;
}

void follow(ControlPlane& control, Model& model, KvCache& cache,
            const std::function<void()>& between_steps) {
  const std::array<std::unique_ptr<DeviceEvent>, 2> done = {model.device().make_event(),
                                                            model.device().make_event()};
  for (std::size_t step = 0;; ++step) {
    std::vector<std::byte> bytes;
    control.broadcast(bytes, 0);
    const StepPlan plan = StepPlan::from_bytes(bytes);
    if (plan.stop()) {
      model.device().synchronize();
      return;
    }
    model.forward(plan, cache);
    done[step % 2]->record();
    if (step > 0) {  // as rank 0 does before it plans on: nobody is late for the next broadcast
      model.wait(*done[(step - 1) % 2]);
    }
    if (between_steps) {
      between_steps();
    }
  }
}

}  // namespace tutti
