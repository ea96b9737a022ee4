// Which tokens go to which expert of a rank, as lists of fixed size: nobody waits for a device to
// know how many there are.
#pragma once

#include "kernels/tensor_view.hpp"

namespace tutti {

inline constexpr int kMostExperts = 512;
inline constexpr int kMostChosen = 16;  // experts of a token
inline constexpr int kExpertTile = 64;  // pairs of one tile of products on tensor cores

// Pair p = t * top_k + j is token t with the j-th of its experts, which all differ. `experts` are
// those of this rank, [first, first + experts) of the model's: some of them each, or all of them
// with a slice of their columns. Written by moe_group, read by expert_gemm; all i32.
struct ExpertGroups {
  TensorView order;   // [tokens * top_k]: pairs of this rank's experts, expert after expert
  TensorView begin;   // [experts + 1]: pairs of expert e are order[begin[e], begin[e + 1])
  TensorView tiles;   // [experts + 1]: the same counted in tiles, each expert's last one part full
  TensorView active;  // [experts + 1]: how many experts have pairs, then which
  int top_k = 0;

  std::int64_t experts() const { return begin.rows() - 1; }
};

}  // namespace tutti
