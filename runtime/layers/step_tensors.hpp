// A step's plan as the kernels read it, and what is constant over the steps.
#pragma once

#include "kernels/tensor_view.hpp"

namespace tutti {

struct StepTensors {
  TensorView ids;                 // [tokens] i32
  TensorView sources;             // [tokens] i32, see EmbeddingArgs::source
  TensorView last;                // [sequence slots] i32
  TensorView positions;           // [tokens] i32
  TensorView slots;               // [tokens] i32
  TensorView query_begin;         // [sequences + 1] i32
  TensorView context_length;      // [sequences] i32
  TensorView block_table;         // [sequences, max_blocks] i32
  TensorView logit_rows;          // [wanted] i32
  TensorView rules;               // [wanted, kSampleRuleWords] i32; no rows where the host samples
  TensorView kv_of_q;             // [q_heads of this rank] i32
  std::int64_t most_queries = 0;  // bounds, see AttentionArgs
  std::int64_t most_context = 0;
};

}  // namespace tutti
