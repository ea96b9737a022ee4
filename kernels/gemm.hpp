// The product of activations with a weight matrix: every linear layer.
#pragma once

#include "kernels/exec.hpp"
#include "kernels/weight.hpp"

namespace tutti {

struct GemmArgs {
  TensorView x;          // [tokens, in] f32; rows may be strided
  Weight weight;         // [out, in] f32, f16 or bf16
  TensorView bias = {};  // [out] f32, or empty
  TensorView y;          // [tokens, out] f32; rows may be strided; not x
};

// y[t,o] = sum_i x[t,i] * weight[o,i] + bias[o], summed in f32. Few tokens run a memory-bound
// kernel that reads the weights once; many run the library's matrix product on widened panels.
void gemm(const Exec& exec, const GemmArgs& args);

// Bytes of exec.scratch that gemm wants for a weight with rows of `in` elements.
std::size_t gemm_scratch_bytes(std::int64_t in, int threads);

}  // namespace tutti
