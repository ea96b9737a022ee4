#include "launch/plan_counts.hpp"

#include <gmock/gmock.h>

#include <cmath>

#include "kernels/error.hpp"
#include "models/shapes.hpp"
#include "tests/launch/plan_support.hpp"

namespace tutti {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const std::vector<std::string> kShapes = {"llama-2-7b", "llama-2-13b", "llama-2-70b",
                                          "llama-3-8b", "llama-3-70b", "smollm2-135m"};
const std::vector<std::string> kKinds = {"a10", "a100-40", "a100-80", "h100-80", "h200"};

std::vector<int> up_to(int most) {
  std::vector<int> ranks;
  for (int i = 1; i <= most; ++i) {
    ranks.push_back(i);
  }
  return ranks;
}

// Everything is owned once; norms are on every rank, and KV heads where several ranks need them.
void expect_whole(const PlannedModel& model, const CountPlan& count) {
  const DecoderSpec& spec = model.spec;
  std::uint64_t weights = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t ffn = 0;
  std::int64_t rows = 0;
  for (int rank = 0; rank < count.ranks(); ++rank) {
    const RankShare& share = count.shards.share(rank);
    weights += count.memory[static_cast<std::size_t>(rank)].weights;
    heads += share.q_heads.size();
    kv_heads += share.kv_heads.size();
    ffn += share.ffn.size();
    rows += share.vocabulary.size();
  }
  const std::int64_t repeated = kv_heads - spec.kv_heads;
  const std::int64_t replicated = (count.ranks() - 1) * (2 * spec.layers + 1) * spec.hidden * 4 +
                                  repeated * 2 * spec.hidden * spec.head_dim * spec.layers * 2;
  EXPECT_EQ(weights, model.weight_bytes + static_cast<std::uint64_t>(replicated));
  EXPECT_GE(repeated, 0);
  EXPECT_EQ(heads, spec.q_heads);
  EXPECT_EQ(ffn, spec.ffn);
  EXPECT_EQ(rows, spec.vocabulary);
}

void expect_consistent_memory(const PlanQuestion& question, const CountPlan& count) {
  for (int rank = 0; rank < count.ranks(); ++rank) {
    const RankMemory& memory = count.memory[static_cast<std::size_t>(rank)];
    const KvLayout layout{.layers = static_cast<int>(question.model.spec.layers),
                          .kv_heads = static_cast<int>(count.shards.share(rank).kv_heads.size()),
                          .head_dim = static_cast<int>(question.model.spec.head_dim),
                          .dtype = DType::bf16};
    const int pages =
        layout.pages_for(question.batch * question.context) + static_cast<int>(question.batch);
    EXPECT_EQ(memory.kv, static_cast<std::uint64_t>(pages) * layout.page_bytes());
    EXPECT_EQ(memory.fits(), memory.pages_that_fit() >= pages);
    EXPECT_EQ(memory.needs(), memory.weights + memory.kv + memory.workspace);
  }
  EXPECT_EQ(count.fits(), count.kv_tokens_that_fit() >= (question.context + 16) * question.batch);
  ASSERT_TRUE(count.speed.has_value());
  EXPECT_TRUE(std::isfinite(count.speed->decode_per_second) && count.speed->decode_per_second > 0);
  EXPECT_TRUE(std::isfinite(count.speed->whole_per_second) && count.speed->whole_per_second > 0);
}

TEST(PlanCounts, EveryShapeOnOneToSixteenRanksOfEveryKindIsConsistent) {
  for (const std::string& shape : kShapes) {
    const DecoderSpec spec = load_shape(shape);
    const int most = std::min(16, ShardPlan::max_ranks(spec.shard_shape()));
    int larger_kind = 1 << 30;  // kinds are in the order of their memory
    for (const std::string& kind : kKinds) {
      SCOPED_TRACE(shape + " on " + kind);
      const PlanQuestion question = test::question(shape, up_to(most));
      const DevicePlan plan = plan_on(question, test::kind(kind));
      ASSERT_EQ(std::ssize(plan.counts), most);
      std::uint64_t before = std::uint64_t{1} << 60;
      for (const CountPlan& count : plan.counts) {
        SCOPED_TRACE(count.ranks());
        expect_whole(question.model, count);
        expect_consistent_memory(question, count);
        std::uint64_t largest = 0;  // keys and values may grow: 5 ranks hold 3 KV heads unevenly
        for (const RankMemory& memory : count.memory) {
          largest = std::max(largest, memory.weights + memory.workspace);
        }
        EXPECT_LE(largest, before + before / 50);  // uneven shares may cost a little
        before = largest;
        if (plan.smallest > 0 && count.ranks() <= plan.smallest) {
          EXPECT_EQ(count.fits(), count.ranks() == plan.smallest);
        }
      }
      EXPECT_LE(plan.smallest, larger_kind);
      larger_kind = plan.smallest > 0 ? plan.smallest : larger_kind;
    }
  }
}

TEST(PlanCounts, OneA100OfFortyIsRefusedWithTheWayOut) {
  const PlanQuestion question = test::question("llama-2-70b", {1});
  const DevicePlan plan = plan_on(question, test::kind("a100-40"));
  EXPECT_FALSE(plan.fits());
  EXPECT_EQ(plan.smallest, 4);
  EXPECT_EQ(plan.pays_up_to, 0);
  EXPECT_THAT(plan_shortfall(question, plan),
              AllOf(HasSubstr("llama-2-70b on 1 rank wants "), HasSubstr("128.48 GiB of weights"),
                    HasSubstr("of each a100-40"), HasSubstr("1 x 4096 tokens"),
                    HasSubstr("4 ranks are the fewest that work")));
}

TEST(PlanCounts, ThreeUnevenA100sOfEightyWork) {
  const DevicePlan plan = plan_on(test::question("llama-2-70b", {3}), test::kind("a100-80"));
  ASSERT_TRUE(plan.fits());
  const CountPlan& three = plan.counts.front();
  EXPECT_EQ(three.shards.share(0).kv_heads.size(), 3);
  EXPECT_EQ(three.shards.share(2).kv_heads.size(), 2);
  EXPECT_EQ(three.tightest(), 0u);  // more keys and values
  EXPECT_GT(three.shards.share(2).ffn.size(), three.shards.share(0).ffn.size());
}

TEST(PlanCounts, TheUsualCountsHoldTheSmallestThatFits) {
  const DevicePlan plan = plan_on(test::question("llama-2-70b"), test::kind("a30"));
  EXPECT_EQ(plan.smallest, 7);  // not a usual one
  std::vector<int> ranks;
  for (const CountPlan& count : plan.counts) {
    ranks.push_back(count.ranks());
  }
  EXPECT_THAT(ranks, ::testing::ElementsAre(1, 2, 3, 4, 6, 7, 8, 12, 16));
  EXPECT_EQ(plan_on(test::question("smollm2-135m"), test::kind("l4")).counts.back().ranks(), 8);
}

TEST(PlanCounts, WhereRanksStopPaying) {
  const DevicePlan small = plan_on(test::question("smollm2-135m"), test::kind("h200"));
  EXPECT_EQ(small.pays_up_to, 1);  // nothing but starts of kernels
  const DevicePlan large = plan_on(test::question("llama-2-70b"), test::kind("h200"));
  EXPECT_GE(large.pays_up_to, 4);
  EXPECT_NEAR(share_of_ideal(large, large.counts[1]), 1, 1e-9);  // two, the fewest that fit
  EXPECT_EQ(share_of_ideal(large, large.counts[0]) > 1, true);   // one would be better, did it fit
  PlanQuestion slow = test::question("llama-2-70b");
  slow.constants = {"network_us=1000"};
  slow.gpus_per_node = 2;
  EXPECT_EQ(plan_on(slow, test::kind("h200")).pays_up_to, 2);
}

TEST(PlanCounts, TypesOfWeightsAndCacheCount) {
  PlanQuestion question = test::question("llama-2-7b", {1});
  const auto first = [&] { return plan_on(question, test::kind("h200")).counts[0].memory[0]; };
  const RankMemory plain = first();
  question.kv = DType::f32;
  EXPECT_EQ(first().kv, 2 * plain.kv);
  EXPECT_EQ(first().weights, plain.weights);
  question.kv.reset();
  question.model = planned_model("llama-2-7b", DType::f32);
  EXPECT_EQ(first().kv, 2 * plain.kv);
  EXPECT_GT(first().weights, 19 * plain.weights / 10);
  EXPECT_GT(first().workspace, plain.workspace);
}

TEST(PlanCounts, MoreRanksThanHeadsAreRefused) {
  try {
    plan_on(test::question("llama-2-7b", {33}), test::kind("h200"));
    FAIL() << "wanted a refusal";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr("the largest workable count is 32"));
  }
}

}  // namespace
}  // namespace tutti
