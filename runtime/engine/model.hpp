// What the engine asks of a model; the families in models/ implement it.
#pragma once

#include <cstddef>

#include "kernels/exec.hpp"
#include "runtime/cache/kv_cache.hpp"
#include "runtime/engine/step_plan.hpp"

namespace tutti {

// This rank's part of a model. Everything is allocated when it is built; forward allocates nothing
// that grows with the number of steps.
class Model {
 public:
  virtual ~Model() = default;

  // Collective: all ranks of the group, the same plan. Returns the logits of plan.logit_rows on the
  // group's rank 0, [wanted, vocabulary] f32, owned by the model and valid until the next call; an
  // empty view on the other ranks.
  virtual TensorView forward(const Exec& exec, const StepPlan& plan, KvCache& cache) = 0;

  virtual KvLayout kv_layout() const = 0;
  virtual std::int64_t vocabulary() const = 0;
  virtual std::int64_t context_length() const = 0;
  virtual int max_step_tokens() const = 0;
  virtual int max_logit_rows() const = 0;

  virtual std::size_t weight_bytes() const = 0;     // on this rank
  virtual std::size_t workspace_bytes() const = 0;  // on this rank
};

}  // namespace tutti
