#include "runtime/shard/shard_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "kernels/error.hpp"
#include "runtime/shard/head_split.hpp"

namespace tutti {
namespace {

// Slices begin on these borders where there is enough to deal: 16 elements are a whole cache line
// of f32 and a whole vector of the 16-bit types.
constexpr std::int64_t kGranule = 16;

void check_extent(std::string_view name, std::int64_t found, std::int64_t limit) {
  if (found < 1 || found > limit) {
    throw ConfigError(fmt::format("shard plan: {} must be in 1..{}, found {}", name, limit, found));
  }
}

// The limits are far above every known model; they keep the products below within 63 bits.
void check_shape(const ShardShape& shape) {
  check_extent("layers", shape.layers, 1 << 16);
  check_extent("hidden size", shape.hidden, 1 << 20);
  check_extent("query heads", shape.q_heads, 1 << 10);
  check_extent("KV heads", shape.kv_heads, 1 << 10);
  check_extent("head size", shape.head_dim, 1 << 14);
  check_extent("FFN size", shape.ffn, 1 << 22);
  check_extent("vocabulary", shape.vocabulary, 1 << 26);
  if (shape.q_heads % shape.kv_heads != 0) {
    throw ConfigError(fmt::format(
        "shard plan: query heads must be a multiple of the KV heads, found {} query heads and {} "
        "KV heads",
        shape.q_heads, shape.kv_heads));
  }
}

// What limits the number of ranks: each must own some of everything.
struct Limit {
  std::int64_t count;
  std::string_view what;
};

Limit limit_of(const ShardShape& shape) {
  Limit limit{shape.q_heads, "query heads"};
  if (shape.ffn < limit.count) {
    limit = {shape.ffn, "FFN columns"};
  }
  if (shape.vocabulary < limit.count) {
    limit = {shape.vocabulary, "vocabulary rows"};
  }
  return limit;
}

void check_ranks(const ShardShape& shape, int ranks) {
  const Limit limit = limit_of(shape);
  if (ranks < 1) {
    throw ConfigError(fmt::format("shard plan: wanted {} ranks, this model splits over 1..{}",
                                  ranks, limit.count));
  }
  if (ranks > limit.count) {
    throw ConfigError(fmt::format(
        "shard plan: wanted {} ranks, but this model has {} {} and each rank needs at least one: "
        "the largest workable count is {}",
        ranks, limit.count, limit.what, limit.count));
  }
}

std::int64_t ffn_column_parameters(const ShardShape& shape) {
  return (shape.ffn_matrices * shape.hidden + shape.ffn_column_elements) * shape.layers;
}

// Norms and biases that a rank holds, but for those of its FFN columns.
std::int64_t fixed_vectors(const ShardShape& shape, const RankShare& share, bool first_rank) {
  const std::int64_t whole = shape.layer_vectors + (first_rank ? shape.first_rank_vectors : 0);
  const std::int64_t layer = whole * shape.hidden + shape.layer_elements +
                             share.q_heads.size() * shape.q_head_elements +
                             share.kv_heads.size() * shape.kv_head_elements;
  return shape.layers * layer + shape.last_vectors * shape.hidden;
}

// All that a rank holds but its FFN columns.
std::int64_t fixed_parameters(const ShardShape& shape, const RankShare& share, bool first_rank) {
  const std::int64_t heads = 2 * share.q_heads.size() + 2 * share.kv_heads.size();  // q, o; k, v
  const std::int64_t tables = shape.tied_head ? 1 : 2;
  const std::int64_t rows = tables * share.vocabulary.size() + share.positions.size();
  return shape.hidden * (shape.layers * heads * shape.head_dim + rows) +
         fixed_vectors(shape, share, first_rank);
}

// Large enough that a unit more or less is under a sixteenth of a share.
std::int64_t vocabulary_granule(std::int64_t vocabulary, int ranks) {
  return vocabulary >= 16 * kGranule * ranks ? kGranule : 1;
}

// The largest power of two up to kGranule of which each rank gets one.
std::int64_t ffn_granule(std::int64_t ffn, int ranks) {
  std::int64_t granule = kGranule;
  while (ffn / granule < ranks) {
    granule /= 2;
  }
  return granule;
}

// Columns for each rank: one granule each, then granule by granule to whoever holds least (the
// first among equals), so that in the end no rank that got more than its first granule is more than
// one granule above any other. Columns beyond whole granules go to the last rank.
std::vector<std::int64_t> deal_ffn(const ShardShape& shape, const std::vector<RankShare>& shares) {
  const int ranks = static_cast<int>(shares.size());
  const std::int64_t granule = ffn_granule(shape.ffn, ranks);
  const std::int64_t weight = ffn_column_parameters(shape);
  std::vector<std::int64_t> columns(shares.size(), granule);
  columns.back() += shape.ffn % granule;
  std::vector<std::int64_t> held(shares.size());
  for (std::size_t r = 0; r < shares.size(); ++r) {
    held[r] = fixed_parameters(shape, shares[r], r == 0) + columns[r] * weight;
  }
  for (std::int64_t unit = ranks; unit < shape.ffn / granule; ++unit) {
    const auto least = std::min_element(held.begin(), held.end());
    *least += granule * weight;
    columns[static_cast<std::size_t>(least - held.begin())] += granule;
  }
  return columns;
}

}  // namespace

ShardPlan::ShardPlan(const ShardShape& shape, int ranks) : shape_(shape) {
  check_shape(shape);
  check_ranks(shape, ranks);
  const std::int64_t group = shape.q_heads / shape.kv_heads;
  const std::vector<Range> heads = split_query_heads(shape.q_heads, shape.kv_heads, ranks);
  const std::vector<Range> rows =
      split_evenly(shape.vocabulary, ranks, vocabulary_granule(shape.vocabulary, ranks));
  const std::vector<Range> positions = split_evenly(shape.positions, ranks);
  shares_.resize(heads.size());
  for (std::size_t r = 0; r < shares_.size(); ++r) {
    RankShare& share = shares_[r];
    share.q_heads = heads[r];
    share.kv_heads = kv_heads_of(heads[r], group);
    for (std::int64_t q = heads[r].begin; q < heads[r].end; ++q) {
      share.kv_of_q.push_back(static_cast<int>(q / group - share.kv_heads.begin));
    }
    share.vocabulary = rows[r];
    share.positions = positions[r];
    share.layers = {0, shape.layers};
  }
  const std::vector<std::int64_t> columns = deal_ffn(shape, shares_);
  std::int64_t begin = 0;
  for (std::size_t r = 0; r < shares_.size(); ++r) {
    RankShare& share = shares_[r];
    share.ffn = {begin, begin + columns[r]};
    share.parameters =
        fixed_parameters(shape, share, r == 0) + columns[r] * ffn_column_parameters(shape);
    share.vectors =
        fixed_vectors(shape, share, r == 0) + columns[r] * shape.ffn_column_elements * shape.layers;
    begin += columns[r];
  }
}

int ShardPlan::max_ranks(const ShardShape& shape) {
  check_shape(shape);
  return static_cast<int>(limit_of(shape).count);
}

double ShardPlan::imbalance() const {
  std::int64_t largest = 0;
  double sum = 0;
  for (const RankShare& share : shares_) {
    largest = std::max(largest, share.parameters);
    sum += static_cast<double>(share.parameters);
  }
  return static_cast<double>(largest) * ranks() / sum - 1.0;
}

}  // namespace tutti
