// The product of activations with a weight matrix: every linear layer.
#pragma once

#include "kernels/exec.hpp"
#include "kernels/weight.hpp"

namespace tutti {

struct GemmArgs {
  TensorView x;          // [tokens, in]; rows may be strided
  Weight weight;         // [out, in] f32, f16 or bf16
  TensorView bias = {};  // [out] f32, or empty
  TensorView y;          // [tokens, out]; rows may be strided; not x
  // A device's hint for products behind kernels of many blocks (as attention has): few tokens are
  // then multiplied by blocks that never share a multiprocessor, however unevenly those become
  // free. Row-parallel products ask for it.
  bool alone = false;
};

// y[t,o] = sum_i x[t,i] * weight[o,i] + bias[o], summed in f32.
//
// Host: x and y are f32. The order of a sum depends on nothing but `in`: an element has the same
// bits whatever the other tokens, the rows that this rank holds and the threads are. From 32 tokens
// on, 16-bit weights are widened into exec.scratch first; ConfigError where it is smaller than
// gemm_scratch_bytes.
//
// Device: x has the weight's type, y that or f32. Up to 16 tokens the order of a sum depends on
// nothing but `in` and the alignment of the rows; above, on the shapes, the number of tokens, the
// device and which of the library's algorithms was fastest at first use. There a bias is added to a
// y that was rounded to its type.
void gemm(const Exec& exec, const GemmArgs& args);

// Bytes of exec.scratch that gemm wants for a weight with rows of `in` elements.
std::size_t gemm_scratch_bytes(std::int64_t in, int threads);

}  // namespace tutti
