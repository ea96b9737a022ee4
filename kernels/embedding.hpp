// Token ids to hidden states, by this rank's rows of the vocabulary.
#pragma once

#include "kernels/exec.hpp"
#include "kernels/weight.hpp"

namespace tutti {

struct EmbeddingArgs {
  TensorView ids;              // [tokens] i32; the id where source[t] < 0
  Weight table;                // [vocabulary rows of this rank, hidden]
  std::int64_t first_row = 0;  // vocabulary id of the table's row 0
  TensorView source = {};      // [tokens] i32, or empty: where >= 0, the id is last[source[t]]
  TensorView last = {};        // [slots] i32: the ids that were sampled last
  float scale = 1;             // of the rows (Gemma, Granite)
  bool add = false;            // y += rather than y =: learned positions, with positions as ids
  TensorView y;                // [tokens, hidden], f32 or the table's type
};

// y[t,:] = table[ids[t] - first_row, :], or zeros where another rank owns the row; the sum over the
// ranks of a group is the embedding. A scaled row is rounded to the table's type on a device, as
// models were trained; the host's is not.
void embedding(const Exec& exec, const EmbeddingArgs& args);

}  // namespace tutti
