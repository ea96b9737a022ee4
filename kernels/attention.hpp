// Causal grouped-query attention over paged keys and values, for prefill, decode and mixtures.
#pragma once

#include "kernels/exec.hpp"

namespace tutti {

inline constexpr int kAttentionMaxHeadDim = 256;  // larger heads are refused

struct AttentionArgs {
  TensorView q;            // [tokens, q_heads * head_dim], rotated; rows may be strided
  TensorView k_pages;      // [pages, kv_heads, page_size, head_dim] of q's type
  TensorView v_pages;      // the same
  TensorView query_begin;  // [sequences + 1] i32: tokens of sequence s are [begin[s], begin[s+1])
  TensorView context_length;  // [sequences] i32, this step's tokens included
  TensorView block_table;     // [sequences, max_blocks] i32: page of each block of a sequence
  TensorView kv_of_q;         // [q_heads] i32: the local KV head that serves each local query head
  int head_dim = 0;
  float scale = 1;  // usually 1 / sqrt(head_dim)
  // Each call has its own: layers differ.
  int window = 0;          // a token attends to itself and window - 1 positions before; 0: to all
  float softcap = 0;       // bounds scores (Gemma 2); 0: does not
  TensorView slopes = {};  // [q_heads] f32, of this rank's heads (ALiBi), or empty
  // What a device cannot look up before it is launched: bounds over the sequences of this step,
  // and over those of all replays where the call is captured into a graph.
  std::int64_t most_queries = 0;  // tokens of one sequence in this step
  std::int64_t most_context = 0;  // context_length
  TensorView y;                   // [tokens, q_heads * head_dim] of q's type; not q
};

// q, the pages and y are of one type: f32 on the host; f32, f16 or bf16 on a device. Softmax and
// sums are in f32. On a device a sequence may have a context length of 0, which pads a batch: its y
// is 0.
//
// Token j of sequence s (counted from 0) stands at position p = context_length[s] - n_s + j, where
// n_s is its number of tokens in this step, and attends to positions 0..p:
//   y[t,h,:] = sum_i softmax_i(scale * q[t,h,:] . k[i,g,:]) v[i,g,:],  g = kv_of_q[h].
// With a window, to positions above p - window only: pages that lie wholly before the windows of
// this step's tokens are not read, and what their blocks say is not looked at. With a soft cap,
// softcap * tanh(score / softcap) stands for a scaled score. With slopes (Press, Smith & Lewis
// 2022), slopes[h] * (i - p) is added to it then.
// The result for one token does not depend on which tokens or sequences share the step; on a device
// its rounding depends on their number and on the bounds, never on what they hold. There, tokens
// behind the last sequence have y = 0.
void attention(const Exec& exec, const AttentionArgs& args);

}  // namespace tutti
