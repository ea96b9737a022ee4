// A step's plan as the kernels read it, and what is constant over the steps.
#pragma once

#include "kernels/tensor_view.hpp"

namespace tutti {

struct StepTensors {
  TensorView ids;             // [tokens] i32
  TensorView positions;       // [tokens] i32
  TensorView slots;           // [tokens] i32
  TensorView query_begin;     // [sequences + 1] i32
  TensorView context_length;  // [sequences] i32
  TensorView block_table;     // [sequences, max_blocks] i32
  TensorView kv_of_q;         // [q_heads of this rank] i32
  TensorView inv_freq;        // [head_dim / 2] f32
};

}  // namespace tutti
