// Rows become columns: row-parallel weights lie transposed in the model file.
#pragma once

#include "kernels/exec.hpp"

namespace tutti {

struct TransposeArgs {
  TensorView x;  // [rows, columns], any dtype, dense
  TensorView y;  // [columns, rows] of the same dtype; rows may be strided; not x
};

// y[c,r] = x[r,c].
void transpose(const Exec& exec, const TransposeArgs& args);

}  // namespace tutti
