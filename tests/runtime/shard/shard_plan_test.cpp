// Walks every plan of a table of real and odd shapes, and pins down the ones that the docs name.
#include "runtime/shard/shard_plan.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <ostream>
#include <set>
#include <string>

#include "kernels/error.hpp"

namespace tutti {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

struct NamedShape {
  std::string name;
  ShardShape shape;
  // Stated bound of imbalance() for 1..16 ranks.
  double bound;

  friend void PrintTo(const NamedShape& shape, std::ostream* out) { *out << shape.name; }
};

ShardShape shape_of(std::int64_t layers, std::int64_t hidden, std::int64_t q, std::int64_t kv,
                    std::int64_t head_dim, std::int64_t ffn, std::int64_t vocabulary, bool tied) {
  return {.layers = layers,
          .hidden = hidden,
          .q_heads = q,
          .kv_heads = kv,
          .head_dim = head_dim,
          .ffn = ffn,
          .vocabulary = vocabulary,
          .tied_head = tied};
}

const ShardShape kSmolLm2 = shape_of(30, 576, 9, 3, 64, 1536, 49152, true);
const ShardShape kLlama3 = shape_of(32, 4096, 32, 8, 128, 14336, 128256, false);

std::vector<NamedShape> shapes() {
  return {
      {"llama-2-7b", shape_of(32, 4096, 32, 32, 128, 11008, 32000, false), 0.01},
      {"llama-2-13b", shape_of(40, 5120, 40, 40, 128, 13824, 32000, false), 0.01},
      {"llama-2-70b", shape_of(80, 8192, 64, 8, 128, 28672, 32000, false), 0.01},
      {"llama-3-8b", kLlama3, 0.01},
      {"smollm2-135m", kSmolLm2, 0.05},
      {"qwen2.5-0.5b", shape_of(24, 896, 14, 2, 64, 4864, 151936, true), 0.02},
      {"mqa", shape_of(32, 4096, 32, 1, 128, 11008, 32000, false), 0.01},
      {"gemma-3-270m", shape_of(18, 640, 4, 1, 256, 2048, 262144, true), 0.01},
      {"all odd", shape_of(3, 40, 15, 5, 6, 101, 257, false), 0.25},
      {"short ffn", shape_of(2, 32, 12, 4, 8, 7, 300, true), 0.30},
      {"few words", shape_of(2, 64, 8, 8, 8, 200, 5, false), 0.20},
      {"one of each", shape_of(1, 1, 1, 1, 1, 1, 1, true), 0.0},
  };
}

// Each range begins where the last one ended, none is empty, and together they are 0..count.
template <typename Member>
void expect_partition(const ShardPlan& plan, Member member, std::int64_t count) {
  std::int64_t next = 0;
  for (int rank = 0; rank < plan.ranks(); ++rank) {
    const Range range = plan.share(rank).*member;
    EXPECT_EQ(range.begin, next) << "rank " << rank;
    EXPECT_GT(range.size(), 0) << "rank " << rank;
    next = range.end;
  }
  EXPECT_EQ(next, count);
}

void expect_kv_heads_serve(const ShardPlan& plan) {
  const ShardShape& shape = plan.shape();
  std::set<std::int64_t> held;
  for (int rank = 0; rank < plan.ranks(); ++rank) {
    const RankShare& share = plan.share(rank);
    ASSERT_EQ(static_cast<std::int64_t>(share.kv_of_q.size()), share.q_heads.size());
    std::set<std::int64_t> used;
    for (std::int64_t i = 0; i < share.q_heads.size(); ++i) {
      const std::int64_t q = share.q_heads.begin + i;
      const std::int64_t kv = share.kv_heads.begin + share.kv_of_q[static_cast<std::size_t>(i)];
      EXPECT_EQ(kv, q * shape.kv_heads / shape.q_heads) << "rank " << rank << " head " << q;
      EXPECT_TRUE(share.kv_heads.contains(kv));
      used.insert(kv);
    }
    EXPECT_EQ(static_cast<std::int64_t>(used.size()), share.kv_heads.size()) << "unused KV heads";
    held.insert(used.begin(), used.end());
  }
  EXPECT_EQ(static_cast<std::int64_t>(held.size()), shape.kv_heads);
}

// Counted here by tensors, so that the plan's own formula is not its own witness.
std::int64_t count_parameters(const ShardShape& s, const RankShare& share) {
  const std::int64_t q = share.q_heads.size() * s.head_dim * s.hidden;
  const std::int64_t kv = share.kv_heads.size() * s.head_dim * s.hidden;
  const std::int64_t gate = share.ffn.size() * s.hidden;
  const std::int64_t norms = s.hidden + s.hidden;
  const std::int64_t layer = q + kv + kv + q + gate + gate + gate + norms;
  const std::int64_t embedding = share.vocabulary.size() * s.hidden;
  return layer * share.layers.size() + embedding + (s.tied_head ? 0 : embedding) + s.hidden;
}

std::int64_t granule_of(const ShardShape& s, int ranks) {
  std::int64_t granule = 16;
  while (s.ffn / granule < ranks) {
    granule /= 2;
  }
  return granule;
}

// A rank that got more than its first granule of FFN is at most one granule above any other; what
// lies above the mean beyond that is heads that no FFN column can weigh up.
void expect_even(const ShardPlan& plan) {
  const ShardShape& s = plan.shape();
  std::int64_t smallest = plan.share(0).parameters;
  for (int rank = 1; rank < plan.ranks(); ++rank) {
    smallest = std::min(smallest, plan.share(rank).parameters);
  }
  const std::int64_t granule = granule_of(s, plan.ranks());
  for (int rank = 0; rank < plan.ranks(); ++rank) {
    const RankShare& share = plan.share(rank);
    if (share.ffn.size() >= 2 * granule) {
      EXPECT_LE(share.parameters - smallest, granule * 3 * s.hidden * s.layers) << rank;
    }
  }
}

void expect_valid(const ShardPlan& plan) {
  const ShardShape& shape = plan.shape();
  expect_partition(plan, &RankShare::q_heads, shape.q_heads);
  expect_partition(plan, &RankShare::ffn, shape.ffn);
  expect_partition(plan, &RankShare::vocabulary, shape.vocabulary);
  expect_kv_heads_serve(plan);
  expect_even(plan);
  for (int rank = 0; rank < plan.ranks(); ++rank) {
    EXPECT_EQ(plan.share(rank).layers, (Range{0, shape.layers}));
    EXPECT_EQ(plan.share(rank).parameters, count_parameters(shape, plan.share(rank)));
  }
}

bool same_share(const RankShare& a, const RankShare& b) {
  return a.q_heads == b.q_heads && a.kv_heads == b.kv_heads && a.kv_of_q == b.kv_of_q &&
         a.ffn == b.ffn && a.vocabulary == b.vocabulary && a.layers == b.layers &&
         a.parameters == b.parameters;
}

std::string error_of(const ShardShape& shape, int ranks) {
  try {
    const ShardPlan plan(shape, ranks);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no ConfigError";
}

class AllPlans : public ::testing::TestWithParam<NamedShape> {};

TEST_P(AllPlans, OwnEverythingOnceAndEvenOut) {
  const auto& [name, shape, bound] = GetParam();
  const int most = ShardPlan::max_ranks(shape);
  std::string table;
  for (int ranks = 1; ranks <= most; ++ranks) {
    SCOPED_TRACE(fmt::format("{} on {} ranks", name, ranks));
    const ShardPlan plan(shape, ranks);
    ASSERT_EQ(plan.ranks(), ranks);
    expect_valid(plan);
    EXPECT_GE(plan.imbalance(), 0.0);
    if (ranks <= 16) {
      EXPECT_LE(plan.imbalance(), bound);
      table += fmt::format(" {}:{:.2f}", ranks, 100 * plan.imbalance());
    }
    const ShardPlan again(shape, ranks);
    for (int rank = 0; rank < ranks; ++rank) {
      EXPECT_TRUE(same_share(plan.share(rank), again.share(rank)));
    }
  }
  fmt::print("{}: imbalance % by ranks:{}\n", name, table);
  EXPECT_THROW(ShardPlan(shape, most + 1), ConfigError);
}

TEST_P(AllPlans, NoRankHoldsMoreHeadsThanItMust) {
  const ShardShape& shape = GetParam().shape;
  for (int ranks = 1; ranks <= ShardPlan::max_ranks(shape); ++ranks) {
    const ShardPlan plan(shape, ranks);
    const std::int64_t group = shape.q_heads / shape.kv_heads;
    const std::int64_t most = ranks <= shape.kv_heads ? (shape.kv_heads + ranks - 1) / ranks * group
                                                      : (shape.q_heads + ranks - 1) / ranks;
    for (int rank = 0; rank < ranks; ++rank) {
      EXPECT_LE(plan.share(rank).q_heads.size(), most) << ranks << " ranks, rank " << rank;
    }
  }
}

std::string test_name(const ::testing::TestParamInfo<NamedShape>& param) {
  std::string name = param.param.name;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == '-' || c == '.' || c == ' '; }, '_');
  return name;
}
INSTANTIATE_TEST_SUITE_P(Shapes, AllPlans, ::testing::ValuesIn(shapes()), test_name);

std::vector<std::int64_t> sizes(const ShardPlan& plan, Range RankShare::*member) {
  std::vector<std::int64_t> result;
  for (int rank = 0; rank < plan.ranks(); ++rank) {
    result.push_back((plan.share(rank).*member).size());
  }
  return result;
}

using Sizes = std::vector<std::int64_t>;

TEST(ShardPlan, EightGroupsOnThreeRanksAreThreeThreeTwo) {
  const ShardPlan plan(kLlama3, 3);
  EXPECT_EQ(sizes(plan, &RankShare::kv_heads), (Sizes{3, 3, 2}));
  EXPECT_EQ(sizes(plan, &RankShare::q_heads), (Sizes{12, 12, 8}));
  EXPECT_GT(plan.share(2).ffn.size(), plan.share(0).ffn.size());
}

TEST(ShardPlan, MoreRanksThanKvHeadsDoNotStraddleGroupsWhereTheyNeedNot) {
  const ShardPlan plan(kSmolLm2, 4);
  EXPECT_EQ(sizes(plan, &RankShare::q_heads), (Sizes{3, 3, 2, 1}));
  EXPECT_EQ(sizes(plan, &RankShare::kv_heads), (Sizes{1, 1, 1, 1}));
  EXPECT_EQ(sizes(ShardPlan(kSmolLm2, 7), &RankShare::kv_heads), (Sizes{1, 1, 1, 1, 1, 1, 1}));
}

TEST(ShardPlan, StraddlingRankMapsItsHeadsToBothKvHeads) {
  // 9 heads on 5 ranks: no rank holds more than 2, so some rank crosses a border of 3.
  const ShardPlan plan(kSmolLm2, 5);
  EXPECT_EQ(sizes(plan, &RankShare::q_heads), (Sizes{2, 2, 2, 2, 1}));
  EXPECT_EQ(plan.share(1).q_heads, (Range{2, 4}));
  EXPECT_EQ(plan.share(1).kv_heads, (Range{0, 2}));
  EXPECT_EQ(plan.share(1).kv_of_q, (std::vector<int>{0, 1}));
}

TEST(ShardPlan, SlicesBeginOnGranulesOfSixteenWhereThereIsEnough) {
  for (int ranks : {2, 3, 5, 7, 9}) {
    const ShardPlan plan(kSmolLm2, ranks);
    for (int rank = 0; rank < ranks; ++rank) {
      EXPECT_EQ(plan.share(rank).ffn.begin % 16, 0);
      EXPECT_EQ(plan.share(rank).vocabulary.begin % 16, 0);
    }
  }
}

TEST(ShardPlan, OneRankHoldsTheWholeModel) {
  const ShardPlan plan(kSmolLm2, 1);
  EXPECT_EQ(plan.share(0).parameters, 134515008);  // SmolLM2-135M
  EXPECT_EQ(plan.imbalance(), 0.0);
}

TEST(ShardPlan, TooManyRanksNameTheLargestWorkableCountAndWhy) {
  EXPECT_THAT(error_of(kSmolLm2, 10),
              AllOf(HasSubstr("wanted 10 ranks"), HasSubstr("9 query heads"),
                    HasSubstr("largest workable count is 9")));
  const ShardShape narrow = shape_of(2, 32, 12, 4, 8, 7, 300, true);
  EXPECT_EQ(ShardPlan::max_ranks(narrow), 7);
  EXPECT_THAT(error_of(narrow, 8), HasSubstr("7 FFN columns"));
  EXPECT_THAT(error_of(shape_of(2, 64, 8, 8, 8, 200, 5, false), 6), HasSubstr("5 vocabulary rows"));
  EXPECT_THAT(error_of(kSmolLm2, 0), HasSubstr("1..9"));
}

TEST(ShardPlan, ImpossibleShapesAreRefusedByName) {
  ShardShape shape = kSmolLm2;
  shape.kv_heads = 2;
  EXPECT_THAT(error_of(shape, 1), AllOf(HasSubstr("9 query heads"), HasSubstr("2 KV heads")));
  shape = kSmolLm2;
  shape.kv_heads = 18;
  EXPECT_THAT(error_of(shape, 1), HasSubstr("18 KV heads"));
  shape = kSmolLm2;
  shape.ffn = 0;
  EXPECT_THAT(error_of(shape, 1), HasSubstr("FFN size"));
  shape = kSmolLm2;
  shape.hidden = -576;
  EXPECT_THAT(error_of(shape, 1), AllOf(HasSubstr("hidden size"), HasSubstr("-576")));
  shape = kSmolLm2;
  shape.vocabulary = std::int64_t{1} << 60;
  EXPECT_THROW(ShardPlan::max_ranks(shape), ConfigError);
}

ShardShape mixture(std::int64_t experts, std::int64_t per_token, std::int64_t ffn) {
  ShardShape shape = shape_of(2, 64, 16, 4, 8, ffn, 300, false);
  shape.experts = experts;
  shape.experts_per_token = per_token;
  shape.layer_rows = experts;
  return shape;
}

TEST(ShardPlan, DealsColumnsOfAllExpertsWhereTheyDivide) {
  const ShardPlan plan(mixture(128, 8, 768), 4);
  expect_partition(plan, &RankShare::ffn, 768);
  for (int rank = 0; rank < 4; ++rank) {
    EXPECT_EQ(plan.share(rank).experts, (Range{0, 128}));
    EXPECT_EQ(plan.share(rank).ffn.size() % 16, 0);
  }
  EXPECT_LT(plan.imbalance(), 0.03);
}

TEST(ShardPlan, DealsWholeExpertsWhereColumnsDoNotDivide) {
  // Four ranks would have 2, 1, 1 and 1 columns: 4 experts of 2 columns against 1 of 5.
  const ShardPlan plan(mixture(7, 4, 5), 4);
  expect_partition(plan, &RankShare::experts, 7);  // uneven: 7 over 4
  for (int rank = 0; rank < 4; ++rank) {
    EXPECT_EQ(plan.share(rank).ffn, (Range{0, 5}));
  }
  // Fewer columns than ranks: there is no other way.
  expect_partition(ShardPlan(mixture(16, 1, 2), 8), &RankShare::experts, 16);
  EXPECT_FALSE(deals_whole_experts(mixture(7, 2, 5), 3));  // 2 of 2 columns against 1 of 5
}

TEST(ShardPlan, DealsTheColumnsBesideTheExpertsToo) {
  ShardShape shape = mixture(6, 2, 32);
  shape.shared_ffn = 100;
  for (int ranks = 1; ranks <= 8; ++ranks) {
    expect_partition(ShardPlan(shape, ranks), &RankShare::shared_ffn, 100);
  }
}

TEST(ShardPlan, RefusesMoreRanksThanThereAreExpertsAndColumns) {
  EXPECT_EQ(ShardPlan::max_ranks(mixture(9, 2, 3)), 9);
  EXPECT_EQ(ShardPlan::max_ranks(mixture(3, 2, 11)), 11);
  EXPECT_THAT([] { ShardPlan(mixture(9, 2, 3), 10); },
              ::testing::ThrowsMessage<ConfigError>(
                  AllOf(HasSubstr("9 experts"), HasSubstr("largest workable count is 9"))));
}

}  // namespace
}  // namespace tutti
