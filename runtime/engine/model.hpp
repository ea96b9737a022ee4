// What the engine asks of a model; the families in models/ implement it.
#pragma once

#include <cstddef>

#include "runtime/cache/kv_cache.hpp"
#include "runtime/device/device.hpp"
#include "runtime/engine/step_plan.hpp"

namespace tutti {

// Owned by the model.
struct StepOutput {
  TensorView logits;  // [wanted, vocabulary] f32 of plan.logit_rows on the group's rank 0
  TensorView ids;  // [wanted] i32: what was sampled, on every rank; empty where the engine does it
};

// What this rank's experts did in the last step, over all layers; zeros where a model has none.
struct ExpertLoad {
  std::int64_t held = 0;         // experts, or parts of them
  std::int64_t read = 0;         // those that had tokens, whose weights were read
  std::int64_t pairs = 0;        // tokens that they had, counted once for each of their experts
  std::uint64_t bytes_each = 0;  // of one of them
};

// This rank's part of a model. Everything is allocated when it is built; forward allocates nothing
// that grows with the number of steps.
class Model {
 public:
  virtual ~Model() = default;

  // Collective: all ranks of the group, the same plan. Enqueues the step on the model's device;
  // what is returned is good once the device has come so far, and until the next call.
  virtual StepOutput forward(const StepPlan& plan, KvCache& cache) = 0;
  // Waits until the device has come to the event, which lies behind a step. Errors: CommError where
  // a peer does not come along.
  virtual void wait(DeviceEvent& event) = 0;
  // Whether forward samples by plan.rules: a device does, the host leaves it to the engine.
  virtual bool samples() const = 0;
  virtual Device& device() = 0;

  virtual KvLayout kv_layout() const = 0;
  virtual std::int64_t vocabulary() const = 0;
  virtual std::int64_t context_length() const = 0;
  virtual int max_step_tokens() const = 0;
  virtual int max_logit_rows() const = 0;

  // Waits for the step.
  virtual ExpertLoad expert_load() { return {}; }

  virtual std::size_t weight_bytes() const = 0;     // on this rank
  virtual std::size_t workspace_bytes() const = 0;  // on this rank
};

}  // namespace tutti
