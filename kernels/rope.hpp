// Norm and rotary position embedding of queries and keys, and the append of keys and values to
// their pages.
#pragma once

#include "kernels/exec.hpp"

namespace tutti {

// RMSNorm of queries and keys before they are rotated (Qwen3, Gemma 3, OLMo 2).
struct RopeNorm {
  // [head_dim] f32 each: a head's mean is its own. Or, where `squares` is given, [q_heads *
  // head_dim] and [kv_heads * head_dim]: the mean is that of all heads of all ranks. Or empty.
  TensorView q_weight = {};
  TensorView k_weight = {};
  float eps = 1e-6f;
  TensorView squares = {};   // [tokens, 2] f32: qk_squares, summed over the ranks
  std::int64_t q_width = 0;  // elements that those sums have: heads of all ranks * head_dim
  std::int64_t k_width = 0;
};

struct RopeAppendArgs {
  // One row a token: q heads, then k heads, then v heads of this rank; q is rotated in place.
  TensorView qkv;        // [tokens, (q_heads + 2 * kv_heads) * head_dim]
  TensorView positions;  // [tokens] i32
  TensorView slots;      // [tokens] i32: page * page_size + offset within the page; on a device
                         // a slot below 0 marks a token that pads the batch and is not stored
  TensorView inv_freq;   // [d / 2] f32, scaling already applied: the first d elements of a head are
                         // rotated, d <= head_dim; empty: none are
  float magnitude = 1;   // multiplies cos and sin (YaRN's attention factor)
  RopeNorm norm = {};
  int q_heads = 0;
  int kv_heads = 0;
  int head_dim = 0;
  TensorView k_pages;  // [pages, kv_heads, page_size, head_dim] of qkv's type
  TensorView v_pages;  // the same
};

// Queries and keys are normalised where there are weights: x * weight / sqrt(mean(x^2) + eps).
// For a head h and i < d / 2 (Su et al. 2021, eq. 34, in the half-split order that Hugging
// Face stores):  (h[i], h[i + d/2]) <- (h[i] cos a - h[i + d/2] sin a, h[i + d/2] cos a + h[i] sin
// a) with a = position * inv_freq[i]. Rotated keys and plain values go to their slot. qkv and the
// pages are of one type: f32 on the host; f32, f16 or bf16 on a device, where the rotation is
// computed in f32.
void rope_append(const Exec& exec, const RopeAppendArgs& args);

}  // namespace tutti
