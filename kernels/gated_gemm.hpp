// The first half of a SwiGLU feed-forward layer in one operation: both products and the gate.
#pragma once

#include "kernels/exec.hpp"
#include "kernels/weight.hpp"

namespace tutti {

struct GatedGemmArgs {
  TensorView x;        // [tokens, in]
  Weight weight;       // [2 * columns, in]: the gate's rows, then the up rows
  TensorView gate_up;  // [tokens, 2 * columns], working memory: may or may not be written
  TensorView y;        // [tokens, columns]
};

// y = silu(x Wg^T) * (x Wu^T), as gemm into gate_up and silu_mul compute it; few tokens on a device
// take one kernel that leaves gate_up alone. x, gate_up and y are activations of one type: f32 on
// the host, the weight's type on a device.
void gated_gemm(const Exec& exec, const GatedGemmArgs& args);

}  // namespace tutti
