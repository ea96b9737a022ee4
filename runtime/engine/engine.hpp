// The loop of one group of ranks: plan, broadcast, forward, sample, publish.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <unordered_map>
#include <vector>

#include "runtime/cache/kv_cache.hpp"
#include "runtime/comm/communicator.hpp"
#include "runtime/engine/counters.hpp"
#include "runtime/engine/model.hpp"
#include "runtime/engine/request.hpp"
#include "runtime/engine/scheduler.hpp"
#include "runtime/engine/sequence.hpp"
#include "runtime/engine/step_sampler.hpp"
#include "runtime/engine/step_timer.hpp"

namespace tutti {

// Hears every token as it is sampled, on the thread that calls step().
using TokenSink = std::function<void(const TokenEvent&)>;

struct EngineOptions {
  bool prefix_caching = true;      // requests whose prompts begin alike share pages
  std::optional<int> max_running;  // requests at the same time, fewer than the model could take
};

// Rank 0's side. The other ranks of the group run `follow` meanwhile.
class Engine {
 public:
  // Borrows everything; the model and the cache must outlive it.
  Engine(ControlPlane& control, Model& model, KvCache& cache, const Tokenizer& tokenizer,
         const EngineOptions& options = {});
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Errors: ConfigError where the prompt is empty, leaves no room for an answer in the model's
  // context, holds ids outside the vocabulary, or could never fit the KV cache (CapacityError).
  // max_tokens is cut to what the context leaves.
  void submit(const Request& request);
  // Ends a request at the next step, whose sink hears FinishReason::cancelled without a token.
  void cancel(std::uint64_t request);

  bool idle() const;
  std::size_t waiting() const;  // requests that hold no pages
  std::size_t running() const;
  // As of the last step().
  const EngineCounters& counters() const { return counters_; }
  // Collective: starts the next step of the whole group and tells the sink of one. Where the device
  // samples, that is the step before: the device computes while the host tells. The one token that
  // it computes too much for an answer that has ended is dropped. Does nothing when idle.
  void step(const TokenSink& sink);
  void run_until_idle(const TokenSink& sink);
  // While the group computes, and for good where that threw: the other ranks may then wait for this
  // one in any collective, and stop() would not reach them.
  bool mid_step() const { return mid_step_; }

  // Collective: releases the ranks that run `follow`; not while mid_step(). The engine takes no
  // more steps.
  void stop();

 private:
  // A row of logits and whose it is.
  struct Row {
    std::uint64_t request = 0;
    std::uint64_t serial = 0;
    bool ahead = false;  // its sequence goes on without waiting for the token
  };
  // A step that the device works on, or has done without being asked for the result.
  struct Running {
    StepTicket ticket;
    std::vector<Row> rows;
    bool ahead = true;  // the next step may start before its tokens are known
  };

  void drop_cancelled(const TokenSink& sink);
  StepPlan plan_of(const ScheduledStep& step);
  bool launch();
  Row expect(Sequence& sequence);
  void publish_oldest(const TokenSink& sink);
  Sequence* find(const Row& row);
  void count();
  TokenEvent extend(Sequence& sequence, SampledToken sampled) const;
  void give_up_slots();
  void forget(std::uint64_t request);

  ControlPlane& control_;
  Model& model_;
  KvCache& cache_;
  const Tokenizer& tokenizer_;
  Scheduler scheduler_;
  StepSampler sampler_;
  std::unordered_map<std::uint64_t, Sequence> sequences_;
  std::deque<std::uint64_t> cancelled_;  // requests that are to be dropped
  std::deque<Running> running_;          // the oldest first
  StepTimer timer_;
  EngineCounters counters_;
  std::uint64_t serial_ = 0;
  bool was_idle_ = true;  // before the next step there was nothing to do
  bool mid_step_ = false;
};

// The other ranks' side: runs the plans that rank 0 broadcasts until it stops. Calls
// `between_steps` once for each.
void follow(ControlPlane& control, Model& model, KvCache& cache,
            const std::function<void()>& between_steps = {});

}  // namespace tutti
