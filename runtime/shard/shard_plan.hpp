// Who owns which heads, FFN columns and vocabulary rows. The only place that divides by the size of
// a group.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/range.hpp"

namespace tutti {

// What of an architecture matters for splitting it.
struct ShardShape {
  std::int64_t layers = 0;
  std::int64_t hidden = 0;
  std::int64_t q_heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t ffn = 0;  // columns of the MLP, or of each expert
  std::int64_t vocabulary = 0;
  bool tied_head = false;
  std::int64_t ffn_matrices = 3;  // of [ffn, hidden]: gate, up and down
  std::int64_t experts = 0;       // MLPs of `ffn` columns of which a token takes some; 0: one MLP
  std::int64_t experts_per_token = 0;
  std::int64_t shared_ffn = 0;  // columns of an MLP beside the experts
  std::int64_t positions = 0;   // rows of learned positions
  std::int64_t layer_rows = 0;  // rows of `hidden` elements of routers, on every rank
  // Vectors: norms and biases.
  std::int64_t layer_vectors = 2;       // of `hidden` elements, on every rank, in each layer
  std::int64_t last_vectors = 1;        // the same behind the last layer
  std::int64_t first_rank_vectors = 0;  // the same in each layer, on rank 0 alone
  std::int64_t layer_elements = 0;      // others on every rank, in each layer
  std::int64_t q_head_elements = 0;     // of each query head
  std::int64_t kv_head_elements = 0;
  std::int64_t ffn_column_elements = 0;
};

// One rank's part. Query heads, FFN columns and vocabulary rows are owned by exactly one rank; KV
// heads may repeat where there are more ranks than KV heads.
struct RankShare {
  Range q_heads;
  Range kv_heads;            // those that q_heads need
  std::vector<int> kv_of_q;  // [q_heads.size()]: index within kv_heads of each local query head
  Range ffn;                 // columns of the MLP, or of each of this rank's experts
  Range experts;             // empty where there is one MLP
  Range shared_ffn;          // columns of the MLP beside the experts
  Range vocabulary;
  Range positions;  // of learned positions, split as the vocabulary is
  Range layers;
  std::int64_t parameters = 0;  // elements of matrices and vectors that this rank holds
  std::int64_t vectors = 0;     // those of them that are norms and biases: f32 in memory
};

// Whether whole experts are dealt out and not columns of all of them: what makes the busiest rank
// read fewer bytes for a token. Columns are even whatever the router says, so that whole experts
// come first only where columns do not divide well (docs/decisions/0019-experts.md).
bool deals_whole_experts(const ShardShape& shape, int ranks);

// A pure function of (shape, ranks): equal on every rank that computes it.
class ShardPlan {
 public:
  // Throws ConfigError, naming the largest workable count, where ranks is not in
  // [1, max_ranks(shape)].
  ShardPlan(const ShardShape& shape, int ranks);

  static int max_ranks(const ShardShape& shape);

  int ranks() const { return static_cast<int>(shares_.size()); }
  const ShardShape& shape() const { return shape_; }
  const RankShare& share(int rank) const { return shares_.at(static_cast<std::size_t>(rank)); }
  // Largest share over mean share of parameters, minus 1: 0 is even, 0.1 means that the largest
  // rank holds, and in decode reads, 10 % more than the average.
  double imbalance() const;

 private:
  ShardShape shape_;
  std::vector<RankShare> shares_;
};

}  // namespace tutti
