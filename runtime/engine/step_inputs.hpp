// A step's plan on its way to the device: one packed copy for each step.
#pragma once

#include <cstdint>

#include "runtime/engine/staged_memory.hpp"
#include "runtime/engine/step_plan.hpp"
#include "runtime/layers/step_tensors.hpp"

namespace tutti {

// How large the arrays of a step are. A recorded step has fixed extents; plans with fewer sequences
// are padded with some that have no context.
struct StepExtents {
  std::int64_t tokens = 0;
  std::int64_t sequences = 0;
  std::int64_t wanted = 0;
  std::int64_t max_blocks = 0;

  static StepExtents of(const StepPlan& plan);
  // One token and one row of logits for each of `sequences` sequences.
  static StepExtents decode(std::int64_t sequences, std::int64_t max_blocks);
  std::int64_t words(bool samples) const;  // of all arrays together
};

class StepInputs {
 public:
  // Takes memory for steps of up to `most`; the device must outlive it.
  StepInputs(Device& device, const StepExtents& most, bool samples);

  // Enqueues the copy of the plan, padded to `extents`. Returns where its arrays lie: the same
  // places for equal extents, so that a recorded step finds the next plan.
  StepTensors upload(const StepPlan& plan, const StepExtents& extents);
  std::size_t bytes() const { return memory_.bytes(); }

 private:
  Place place_;
  bool samples_;
  StagedMemory memory_;
};

}  // namespace tutti
