// Who draws a step's tokens: the device by the rules in the plan, or the host from the logits.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "runtime/engine/model.hpp"
#include "runtime/engine/sampler.hpp"
#include "runtime/engine/sequence.hpp"
#include "runtime/engine/step_plan.hpp"

namespace tutti {

// A step whose tokens are to be drawn.
struct StepTicket {
  StepOutput output;
  std::size_t fetch = 0;
};

// Rank 0's side. A request that wants logprobs is drawn here even where the model samples: its
// logits must come to the host anyhow. So is one with more biases and ends than a slot of the
// device holds (kSampleMostBiases).
class StepSampler {
 public:
  explicit StepSampler(Model& model);

  // Gives a sequence that enters the plan its slot, and the device what its rules want there: ids
  // seen in prompt and answer so far, biases, bans. One that was released may come back; all of its
  // tokens are known then. Does nothing for one that has a slot.
  void admit(Sequence& sequence, StepPlan& plan);
  void release(Sequence& sequence);
  // Where the plan's token at `position` comes from: the slot of a token that is still on the
  // device (kUnheard), or -1 for the id in the plan.
  std::int32_t source_of(const Sequence& sequence, int position) const;
  // The rule of the plan's next row of logits, where the model samples.
  void add_rule(const Sequence& sequence, StepPlan& plan) const;

  // Whether the host draws its tokens, so that the next step must wait for them.
  bool draws_here(const Sequence& sequence) const;

  // Enqueues the way of a step's ids to the host; two steps may be on it.
  StepTicket fetch(const StepOutput& output);
  // Waits for the step. The tokens of its rows of logits, whose sequences these are; none for rows
  // whose sequence is gone (null). Errors: Error where a logit is not a number.
  std::vector<SampledToken> draw(const StepTicket& ticket,
                                 const std::vector<const Sequence*>& rows);

 private:
  struct Fetch {
    DeviceMemory ids;  // staging: [max_logit_rows] i32
    std::unique_ptr<DeviceEvent> arrived;
  };
  SampledToken draw_here(const TensorView& logits, std::int64_t row, const Sequence& sequence);

  Model& model_;
  std::vector<std::int32_t> free_slots_;  // a stack
  std::array<Fetch, 2> fetches_;
  std::size_t turn_ = 0;
  DeviceMemory row_;  // staging: [vocabulary] f32
};

}  // namespace tutti
