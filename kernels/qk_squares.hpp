// Sums of squares of a token's queries and keys: this rank's part of a norm over all heads.
#pragma once

#include "kernels/exec.hpp"

namespace tutti {

struct QkSquaresArgs {
  TensorView qkv;  // [tokens, (q_heads + 2 * kv_heads) * head_dim], as rope_append takes it
  int q_heads = 0;
  int kv_heads = 0;
  int head_dim = 0;
  Range k_heads;  // of kv_heads, those that this rank counts: a head that several ranks hold is
                  // counted by one of them
  TensorView squares;  // [tokens, 2] f32
};

// squares[t] = {sum of q[t]^2 over all query heads, sum of k[t]^2 over k_heads}. Summed over the
// ranks (Communicator::all_reduce_sum), it is what RopeNorm::squares wants. qkv is f32, on a device
// also f16 or bf16.
void qk_squares(const Exec& exec, const QkSquaresArgs& args);

}  // namespace tutti
