#include "launch/memory_budget.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <cstdio>

#include "models/decoder_workspace.hpp"
#include "models/shapes.hpp"

namespace tutti {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr std::uint64_t kGib = std::uint64_t{1} << 30;

MemoryCase large_case() {
  return {.spec = load_shape("llama-2-70b"),
          .limits = {.max_step_tokens = 4096, .max_logit_rows = 64, .max_context = 4096},
          .kv_tokens = 4096,
          .operations_workspace = 32 << 20};
}

// The parts by hand, from the shape alone. 70B: 68 976 648 192 parameters.
TEST(MemoryBudget, OneRankHoldsWeightsWorkspaceAndPages) {
  const MemoryCase wanted = large_case();
  const ShardPlan plan(wanted.spec.shard_shape(), 1);
  const MemoryNeed need = memory_need(wanted, plan.share(0));
  EXPECT_EQ(need.weights, 2u * 68'976'648'192u);
  EXPECT_EQ(need.kv, 4096ull * 80 * 2 * 8 * 128 * 2);
  const std::uint64_t workspace =
      decoder_workspace_bytes(wanted.spec, plan.share(0), wanted.limits, DType::bf16);
  EXPECT_EQ(need.workspace, workspace + (32u << 20));
  EXPECT_EQ(need.total(), need.weights + need.workspace + need.kv);
}

TEST(MemoryBudget, PagesAreWhole) {
  MemoryCase wanted = large_case();
  const ShardPlan plan(wanted.spec.shard_shape(), 4);
  wanted.kv_tokens = 17;  // two pages of 16
  EXPECT_EQ(memory_need(wanted, plan.share(0)).kv, 32ull * 80 * 2 * 2 * 128 * 2);
}

TEST(MemoryBudget, TheSharesOfAllRanksAddUpToTheModel) {
  const MemoryCase wanted = large_case();
  for (const int ranks : {2, 4, 8}) {  // KV heads do not repeat
    const ShardPlan plan(wanted.spec.shard_shape(), ranks);
    std::uint64_t kv = 0;
    std::uint64_t weights = 0;
    std::uint64_t largest = 0;
    for (int rank = 0; rank < ranks; ++rank) {
      const MemoryNeed need = memory_need(wanted, plan.share(rank));
      kv += need.kv;
      weights += need.weights;
      largest = std::max(largest, need.total());
    }
    const std::uint64_t norms = 2ull * (2 * 80 + 1) * 8192;  // held by every rank
    EXPECT_EQ(weights, 2u * 68'976'648'192u + (static_cast<std::uint64_t>(ranks) - 1) * norms);
    EXPECT_EQ(kv, 4096ull * 80 * 2 * 8 * 128 * 2);
    EXPECT_EQ(largest_need(wanted, ranks).total(), largest);
  }
}

// 128.5 GiB of weights: a third is 42.8 GiB, a quarter 32.1 GiB, which leaves 7.9 GiB.
TEST(MemoryBudget, SeventyBillionWantFourTimesFortyGib) {
  const MemoryCase wanted = large_case();
  EXPECT_GT(largest_need(wanted, 1).total(), 40 * kGib);
  EXPECT_GT(largest_need(wanted, 3).weights, 42 * kGib);
  EXPECT_LT(largest_need(wanted, 4).weights, 33 * kGib);
  EXPECT_EQ(smallest_rank_count(wanted, 40 * kGib), 4);
}

TEST(MemoryBudget, ThreeUnevenRanksOfEightyGibFit) {
  const MemoryCase wanted = large_case();
  const MemoryNeed need = largest_need(wanted, 3);
  EXPECT_LE(need.total(), 80 * kGib);
  EXPECT_LT(need.weights, 44 * kGib);  // heads split 24:24:16, the FFN makes up for it
  EXPECT_EQ(smallest_rank_count(wanted, 80 * kGib), 2);
  EXPECT_EQ(smallest_rank_count(wanted, 60 * kGib), 3);
  EXPECT_EQ(smallest_rank_count(wanted, 140 * kGib), 1);
}

TEST(MemoryBudget, TheBudgetItselfIsEnough) {
  const MemoryCase wanted = large_case();
  const std::uint64_t need = largest_need(wanted, 2).total();
  EXPECT_EQ(smallest_rank_count(wanted, need), 2);
  EXPECT_EQ(smallest_rank_count(wanted, need - 1), 3);
}

TEST(MemoryBudget, AShortfallNamesWantedFoundAndTheWayOut) {
  const MemoryCase wanted = large_case();
  const double need = static_cast<double>(largest_need(wanted, 1).total()) / 0x1p30;
  const std::string text = shortfall_text(wanted, 1, 40 * kGib, "llama-2-70b", "NVIDIA X");
  char total[64];
  char less[64];
  std::snprintf(total, sizeof total, "1 rank wants %.2f GiB of each NVIDIA X", need);
  std::snprintf(less, sizeof less, "40.00 GiB are to be had: %.2f GiB too little", need - 40);
  EXPECT_THAT(text, AllOf(HasSubstr("llama-2-70b on "), HasSubstr(total), HasSubstr(less),
                          HasSubstr("128.48 GiB of weights"), HasSubstr("for 4096 tokens")));
  EXPECT_THAT(text, AllOf(HasSubstr("4 ranks are the fewest that work"), HasSubstr("--context")));
}

TEST(MemoryBudget, SaysWhereNoNumberOfRanksHelps) {
  const MemoryCase wanted = large_case();
  EXPECT_EQ(smallest_rank_count(wanted, kGib), 0);
  const std::string text = shortfall_text(wanted, 3, kGib, "llama-2-70b", "NVIDIA X");
  EXPECT_THAT(text,
              AllOf(HasSubstr("on 3 ranks wants"), HasSubstr("no number of ranks makes it fit")));
}

}  // namespace
}  // namespace tutti
