// The gate of a SwiGLU feed-forward layer (Shazeer 2020, eq. 6).
#pragma once

#include "kernels/exec.hpp"

namespace tutti {

struct SiluMulArgs {
  TensorView gate_up;  // [tokens, 2 * columns]: gate columns, then up columns
  TensorView y;        // [tokens, columns] of gate_up's type: f32, on a device also f16 or bf16
};

// y[t,c] = silu(gate_up[t,c]) * gate_up[t, columns + c],  silu(x) = x / (1 + exp(-x)).
void silu_mul(const Exec& exec, const SiluMulArgs& args);

}  // namespace tutti
