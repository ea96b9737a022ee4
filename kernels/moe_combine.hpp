// What the experts of a token computed, weighted and summed.
#pragma once

#include "kernels/exec.hpp"

namespace tutti {

struct MoeCombineArgs {
  TensorView x;            // [tokens * top_k, dim] f32, on a device also f16 or bf16: expert_gemm's
  TensorView ids;          // [tokens, top_k] i32, top_k at most kMostChosen
  TensorView weights;      // [tokens, top_k] f32
  std::int64_t first = 0;  // of this rank's experts; pairs of others add nothing
  std::int64_t experts = 0;
  TensorView shared = {};       // [tokens, dim] of x's type: a shared expert's, or empty
  TensorView shared_gate = {};  // [tokens, 1] f32 logits, or empty: shared is added as it is
  TensorView y;                 // [tokens, dim] of x's type; not x, may be shared
};

// y[t,:] = sum_j weights[t,j] * x[t * top_k + j,:] over this rank's experts, in the order of j and
// in f32, + sigmoid(shared_gate[t]) * shared[t,:]. The sum over the ranks is the layer's result.
void moe_combine(const Exec& exec, const MoeCombineArgs& args);

}  // namespace tutti
