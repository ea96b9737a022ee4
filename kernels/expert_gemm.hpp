// Products of tokens with the matrices of the experts they were sent to.
#pragma once

#include "kernels/activation_kind.hpp"
#include "kernels/exec.hpp"
#include "kernels/expert_groups.hpp"

namespace tutti {

struct ExpertGemmArgs {
  TensorView x;        // [tokens, in], or [tokens * top_k, in] where each pair has a row
  TensorView weights;  // [experts, out, in] f32, f16 or bf16; experts may lie apart
  ExpertGroups groups;
  bool groups_settled = false;  // the operation before on the stream was expert_gemm with the same
                                // groups, and not of nothing: a device reads them at once
  bool gated = false;  // rows of an expert are the gate's, then the up rows: out = 2 * columns
  Activation kind = Activation::silu;  // of the gate
  TensorView y;  // [tokens * top_k, out], gated: [tokens * top_k, columns]; not x
};

// For each listed pair p of expert e, with x's row p / top_k or p:
//   y[p,:] = W_e x,  or  kind(Wg_e x) * (Wu_e x) where gated,  summed in f32.
// Rows of y that belong to other ranks' experts are left as they are. x and y are of one type: f32
// on the host, the weights' on a device. A pair's bits do not depend on the other pairs; on a
// device that holds up to 16 tokens, as for gemm. Few tokens read the weights of chosen experts
// alone.
//
// Host: an expert with 32 tokens and more wants exec.scratch, as gemm does.
void expert_gemm(const Exec& exec, const ExpertGemmArgs& args);

}  // namespace tutti
