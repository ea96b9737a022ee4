// A matrix as this rank holds it. Linear layers and `gemm` take it; nobody else looks inside, so
// that quantized weights can bring their scales later.
#pragma once

#include "kernels/tensor_view.hpp"

namespace tutti {

struct Weight {
  TensorView matrix;  // [out, in]; f32, f16 or bf16

  std::int64_t out() const { return matrix.shape[0]; }
  std::int64_t in() const { return matrix.shape[1]; }
  std::size_t bytes() const { return matrix.bytes(); }
};

}  // namespace tutti
