// The gate of a feed-forward layer (Shazeer 2020, eq. 6 and its kin).
#pragma once

#include "kernels/activation_kind.hpp"
#include "kernels/exec.hpp"

namespace tutti {

struct GatedActivationArgs {
  TensorView gate_up;  // [tokens, 2 * columns]: gate columns, then up columns
  Activation kind = Activation::silu;
  TensorView y;  // [tokens, columns] of gate_up's type: f32, on a device also f16 or bf16
};

// y[t,c] = kind(gate_up[t,c]) * gate_up[t, columns + c].
void gated_activation(const Exec& exec, const GatedActivationArgs& args);

}  // namespace tutti
