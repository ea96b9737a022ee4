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
  if (shape.experts > 0) {
    check_extent("experts", shape.experts, 1 << 12);
    check_extent("experts of a token", shape.experts_per_token, shape.experts);
  }
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
  if (std::max(shape.ffn, shape.experts) < limit.count) {
    limit = shape.ffn < shape.experts ? Limit{shape.experts, "experts"}
                                      : Limit{shape.ffn, "FFN columns"};
  }
  if (shape.shared_ffn > 0 && shape.shared_ffn < limit.count) {
    limit = {shape.shared_ffn, "columns of the shared expert"};
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

// Of one column in every layer, in all experts that a rank has a part of.
std::int64_t ffn_column_parameters(const ShardShape& shape, std::int64_t experts) {
  const std::int64_t each = shape.ffn_matrices * shape.hidden + shape.ffn_column_elements;
  return each * std::max<std::int64_t>(experts, 1) * shape.layers;
}

// Norms and biases that a rank holds, but for those of its FFN columns.
std::int64_t fixed_vectors(const ShardShape& shape, const RankShare& share, bool first_rank) {
  const std::int64_t whole = shape.layer_vectors + (first_rank ? shape.first_rank_vectors : 0);
  const std::int64_t layer = whole * shape.hidden + shape.layer_elements +
                             share.q_heads.size() * shape.q_head_elements +
                             share.kv_heads.size() * shape.kv_head_elements;
  return shape.layers * layer + shape.last_vectors * shape.hidden;
}

// All that a rank holds but its FFN columns and experts.
std::int64_t fixed_parameters(const ShardShape& shape, const RankShare& share, bool first_rank) {
  const std::int64_t heads = 2 * share.q_heads.size() + 2 * share.kv_heads.size();  // q, o; k, v
  const std::int64_t tables = shape.tied_head ? 1 : 2;
  const std::int64_t rows = tables * share.vocabulary.size() + share.positions.size();
  return shape.hidden * (shape.layers * (heads * shape.head_dim + shape.layer_rows) + rows) +
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

// What is dealt out beside the heads and the vocabulary: columns or experts.
struct Goods {
  std::int64_t count = 0;
  std::int64_t granule = 1;
  std::int64_t parameters = 0;  // of each
};

// So many for each rank: one granule each, then granule by granule to whoever holds least (the
// first among equals), so that in the end no rank that got more than its first granule is more than
// one granule above any other. What is beyond whole granules goes to the last rank. `held` counts
// along.
std::vector<Range> deal(const Goods& goods, std::vector<std::int64_t>& held) {
  const auto ranks = std::ssize(held);
  std::vector<std::int64_t> counts(held.size(), goods.granule);
  counts.back() += goods.count % goods.granule;
  for (std::size_t r = 0; r < held.size(); ++r) {
    held[r] += counts[r] * goods.parameters;
  }
  for (std::int64_t unit = ranks; unit < goods.count / goods.granule; ++unit) {
    const auto least = std::min_element(held.begin(), held.end());
    *least += goods.granule * goods.parameters;
    counts[static_cast<std::size_t>(least - held.begin())] += goods.granule;
  }
  std::vector<Range> ranges;
  std::int64_t begin = 0;
  for (const std::int64_t count : counts) {
    ranges.push_back({begin, begin + count});
    begin += count;
  }
  return ranges;
}

std::vector<Range> deal_columns(std::int64_t columns, std::int64_t parameters,
                                std::vector<std::int64_t>& held) {
  const std::int64_t granule = ffn_granule(columns, static_cast<int>(held.size()));
  return deal({.count = columns, .granule = granule, .parameters = parameters}, held);
}

// MLPs and experts; adds their parameters to the shares'.
void deal_mlps(const ShardShape& shape, std::vector<RankShare>& shares) {
  std::vector<std::int64_t> held;
  for (const RankShare& share : shares) {
    held.push_back(share.parameters);
  }
  const bool whole = deals_whole_experts(shape, static_cast<int>(shares.size()));
  const std::vector<Range> dealt =
      whole ? deal({.count = shape.experts,
                    .parameters = shape.ffn * ffn_column_parameters(shape, 1)},
                   held)
            : deal_columns(shape.ffn, ffn_column_parameters(shape, shape.experts), held);
  for (std::size_t r = 0; r < shares.size(); ++r) {
    shares[r].experts = whole ? dealt[r] : Range{0, shape.experts};
    shares[r].ffn = whole ? Range{0, shape.ffn} : dealt[r];
  }
  if (shape.shared_ffn > 0) {
    const auto shared = deal_columns(shape.shared_ffn, ffn_column_parameters(shape, 1), held);
    for (std::size_t r = 0; r < shares.size(); ++r) {
      shares[r].shared_ffn = shared[r];
    }
  }
  for (std::size_t r = 0; r < shares.size(); ++r) {
    shares[r].parameters = held[r];
    shares[r].vectors += shares[r].ffn.size() * shape.ffn_column_elements * shape.layers;
  }
}

}  // namespace

bool deals_whole_experts(const ShardShape& shape, int ranks) {
  if (shape.experts < ranks) {
    return false;
  }
  if (shape.ffn < ranks) {
    return true;
  }
  const std::int64_t granule = ffn_granule(shape.ffn, ranks);
  const auto ceiling = [](std::int64_t a, std::int64_t b) { return (a + b - 1) / b; };
  const std::int64_t most_columns =
      ceiling(shape.ffn / granule, ranks) * granule + shape.ffn % granule;
  return ceiling(shape.experts_per_token, ranks) * shape.ffn <
         shape.experts_per_token * std::min(most_columns, shape.ffn);
}

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
    share.parameters = fixed_parameters(shape, share, r == 0);
    share.vectors = fixed_vectors(shape, share, r == 0);
  }
  deal_mlps(shape, shares_);
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
