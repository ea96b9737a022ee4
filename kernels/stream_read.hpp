// Reads memory as fast as it goes: the ceiling that everything bound by bandwidth is held against.
#pragma once

#include "kernels/exec.hpp"

namespace tutti {

struct StreamReadArgs {
  TensorView x;  // any dtype and shape, dense; a multiple of 16 bytes
  TensorView y;  // [1] i32
};

// y[0] = the sum of x's 32-bit words, modulo 2^32.
void stream_read(const Exec& exec, const StreamReadArgs& args);

}  // namespace tutti
