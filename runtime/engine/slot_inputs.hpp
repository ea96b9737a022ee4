// What sequences bring along when they enter their slots, on its way to the device: whole sequences
// at a time, as many as the memory for it holds.
#pragma once

#include <cstdint>
#include <functional>

#include "kernels/tensor_view.hpp"
#include "runtime/engine/staged_memory.hpp"
#include "runtime/engine/step_plan.hpp"

namespace tutti {

class SlotInputs {
 public:
  // For up to `slots` sequences, each with up to `ids` different ids; the device must outlive it.
  SlotInputs(Device& device, std::int64_t slots, std::int64_t ids);

  // SampleSlotsArgs::entries and ::pairs; what is to be enqueued with them.
  using Enter = std::function<void(const TensorView& entries, const TensorView& pairs)>;
  // Enqueues the copies of plan.slot_entries and their pairs, and calls `enter` behind each.
  // Errors: ConfigError where a sequence brings more than was said.
  void upload(const StepPlan& plan, const Enter& enter);
  std::size_t bytes() const { return memory_.bytes(); }

 private:
  Place place_;
  std::int64_t entries_;  // that the memory holds, and pairs behind them
  std::int64_t pairs_;
  StagedMemory memory_;
};

}  // namespace tutti
