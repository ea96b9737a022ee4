#include "runtime/engine/step_plan.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include "kernels/error.hpp"

namespace tutti {
namespace {

StepPlan example() {
  StepPlan plan;
  plan.token_ids = {7, 8, 9};
  plan.positions = {0, 1, 5};
  plan.slots = {16, 17, 5};
  plan.query_begin = {0, 2, 3};
  plan.context_length = {2, 6};
  plan.block_table = {1, 0};
  plan.logit_rows = {1, 2};
  plan.slot_entries = {3, 0, 2, 1, 0, 3, -1, 1};
  plan.slot_pairs = {5, 1, 6, 2, 7, 3, 8, 4};
  plan.max_blocks = 1;
  return plan;
}

TEST(StepPlan, SurvivesTheBroadcast) {
  EXPECT_EQ(StepPlan::from_bytes(example().to_bytes()), example());
}

TEST(StepPlan, WithoutTokensMeansStop) {
  EXPECT_TRUE(StepPlan::from_bytes(StepPlan().to_bytes()).stop());
  EXPECT_FALSE(StepPlan::from_bytes(example().to_bytes()).stop());
}

TEST(StepPlan, RefusesBytesOfAnotherLength) {
  const std::vector<std::byte> bytes = example().to_bytes();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_THROW(StepPlan::from_bytes({bytes.data(), size}), CommError) << size;
  }
}

TEST(StepPlan, RefusesNegativeLengthsThatAddUp) {
  std::vector<std::byte> bytes = example().to_bytes();
  const std::int32_t lengths[] = {-1, 7};  // of token_ids and positions: 6 as before
  std::memcpy(bytes.data() + sizeof(std::int32_t), lengths, sizeof lengths);
  EXPECT_THROW(StepPlan::from_bytes(bytes), CommError);
}

// Words of an entry: slot, first pair, tallies, biases; there are four pairs.
TEST(StepPlan, RefusesEntriesWhosePairsAreNotThere) {
  for (const std::vector<std::int32_t>& entries : {std::vector<std::int32_t>{3, 0, 2},
                                                   {3, 0, 4, 1},
                                                   {3, 4, -1, 1},
                                                   {-1, 0, 2, 1},
                                                   {3, -1, 2, 1},
                                                   {3, 0, 2, -1},
                                                   {3, 0x7fffffff, 0x7fffffff, 0x7fffffff}}) {
    StepPlan plan = example();
    plan.slot_entries = entries;
    EXPECT_THROW(StepPlan::from_bytes(plan.to_bytes()), CommError) << entries.size();
  }
  StepPlan plan = example();
  plan.slot_pairs.pop_back();
  EXPECT_THROW(StepPlan::from_bytes(plan.to_bytes()), CommError);
  plan = example();
  plan.slot_entries = {3, 4, -1, 0};
  EXPECT_EQ(StepPlan::from_bytes(plan.to_bytes()), plan);
}

}  // namespace
}  // namespace tutti
