// Who draws a step's tokens: the device by the rules in the plan, or the host from the logits.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/engine/model.hpp"
#include "runtime/engine/sampler.hpp"
#include "runtime/engine/sequence.hpp"
#include "runtime/engine/step_plan.hpp"

namespace tutti {

// Rank 0's side. A request that wants logprobs is drawn here even where the model samples: its
// logits must come to the host anyhow.
class StepSampler {
 public:
  explicit StepSampler(Model& model);

  // Gives a sequence that enters the plan its slot, and the device what it has seen.
  void admit(Sequence& sequence, StepPlan& plan);
  void release(const Sequence& sequence);
  // Where the plan's token at `position` comes from: a slot, or -1 for the id in the plan.
  std::int32_t source_of(const Sequence& sequence, int position) const;
  // The rule of the plan's next row of logits, where the model samples.
  void add_rule(const Sequence& sequence, StepPlan& plan) const;

  // Waits for the device. The tokens of the rows of logits, whose sequences these are. Errors:
  // Error where a logit is not a number.
  std::vector<SampledToken> draw(const StepOutput& output, const std::vector<Sequence*>& rows);

 private:
  bool draws_here(const Sequence& sequence) const;
  SampledToken draw_here(const TensorView& logits, std::int64_t row, const Sequence& sequence);

  Model& model_;
  std::vector<std::int32_t> free_slots_;  // a stack
  DeviceMemory ids_;                      // staging: [max_logit_rows] i32
  DeviceMemory row_;                      // staging: [vocabulary] f32
};

}  // namespace tutti
