// The first half of a gated feed-forward layer in one operation: both products and the gate.
#pragma once

#include "kernels/activation_kind.hpp"
#include "kernels/exec.hpp"
#include "kernels/weight.hpp"

namespace tutti {

struct GatedGemmArgs {
  TensorView x;          // [tokens, in]
  Weight weight;         // [2 * columns, in]: the gate's rows, then the up rows
  TensorView bias = {};  // [2 * columns] f32, or empty
  Activation kind = Activation::silu;
  TensorView gate_up;  // [tokens, 2 * columns], working memory: may or may not be written
  TensorView y;        // [tokens, columns]
};

// y = kind(x Wg^T + bg) * (x Wu^T + bu), as gemm into gate_up and gated_activation compute it; few
// tokens on a device take one kernel that leaves gate_up alone where there is no bias and the kind
// is silu or gelu_tanh. x, gate_up and y are activations of one type: f32 on the host, the weight's
// type on a device.
void gated_gemm(const Exec& exec, const GatedGemmArgs& args);

}  // namespace tutti
