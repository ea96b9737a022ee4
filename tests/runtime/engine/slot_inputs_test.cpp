#include "runtime/engine/slot_inputs.hpp"

#include <gmock/gmock.h>

#include <cstring>
#include <vector>

#include "kernels/error.hpp"
#include "kernels/sample_slots.hpp"
#include "tests/support/lazy_device.hpp"

namespace tutti {
namespace {

using Words = std::vector<std::int32_t>;

Words words_of(const TensorView& view) {
  const auto* from = static_cast<const std::int32_t*>(view.data);
  return {from, from + view.elements()};
}

// Sequences with so many tallies each, biases besides in every third.
StepPlan plan_of(const std::vector<std::int32_t>& tallies) {
  StepPlan plan;
  for (std::size_t i = 0; i < tallies.size(); ++i) {
    const auto n = static_cast<std::int32_t>(i);
    const std::int32_t biases = i % 3 == 0 ? 2 : 0;
    const Words entry = {n, static_cast<std::int32_t>(plan.slot_pairs.size() / 2), tallies[i],
                         biases};
    plan.slot_entries.insert(plan.slot_entries.end(), entry.begin(), entry.end());
    for (std::int32_t pair = 0; pair < std::max(tallies[i], 0) + biases; ++pair) {
      plan.slot_pairs.insert(plan.slot_pairs.end(), {100 * n + pair, pair});
    }
  }
  return plan;
}

// What the device gets, as (slot, its pairs), in the order in which it gets it.
using Entered = std::vector<std::pair<SampleSlotEntry, Words>>;
Entered entered_by(const Words& entries, const Words& pairs) {
  Entered entered;
  for (std::size_t at = 0; at < entries.size(); at += kSampleSlotWords) {
    SampleSlotEntry entry;
    std::memcpy(static_cast<void*>(&entry), &entries[at], sizeof entry);
    const auto from = pairs.begin() + 2 * entry.first;
    entered.emplace_back(entry,
                         Words(from, from + 2 * (std::max(entry.tallies, 0) + entry.biases)));
  }
  return entered;
}

// The copies run late, and each load must find what it was enqueued with.
TEST(SlotInputs, BringsWholeSequencesInAsManyLoadsAsItTakes) {
  std::vector<std::int32_t> tallies;
  for (std::int32_t i = 0; i < 40; ++i) {
    tallies.push_back(i % 5 == 4 ? -1 : i * 37 % 300);
  }
  const StepPlan plan = plan_of(tallies);
  for (const std::int64_t slots : {40, 3, 1}) {
    test::LazyDevice device;
    SlotInputs inputs(device, slots, 300);
    Entered entered;
    int loads = 0;
    for (int turn = 0; turn < 2; ++turn) {
      inputs.upload(plan, [&](const TensorView& entries, const TensorView& pairs) {
        ++loads;
        EXPECT_LE(entries.rows(), slots);
        device.enqueue([&entered, entries, pairs] {
          const Entered load = entered_by(words_of(entries), words_of(pairs));
          entered.insert(entered.end(), load.begin(), load.end());
        });
      });
    }
    device.synchronize();
    EXPECT_GT(loads, 2 * 4);
    const Entered once = entered_by(plan.slot_entries, plan.slot_pairs);
    ASSERT_EQ(entered.size(), 2 * once.size());
    for (std::size_t i = 0; i < entered.size(); ++i) {
      const auto& [wanted, pairs] = once[i % once.size()];
      EXPECT_EQ(entered[i].first.slot, wanted.slot) << i;
      EXPECT_EQ(entered[i].first.tallies, wanted.tallies) << i;
      EXPECT_EQ(entered[i].first.biases, wanted.biases) << i;
      EXPECT_EQ(entered[i].second, pairs) << i;
    }
  }
}

TEST(SlotInputs, DoesNothingForAPlanThatBringsNothing) {
  test::LazyDevice device;
  SlotInputs inputs(device, 4, 10);
  inputs.upload(StepPlan(), [](const TensorView&, const TensorView&) { FAIL(); });
}

TEST(SlotInputs, TakesTheLongestSequenceAndRefusesALongerOne) {
  test::LazyDevice device;
  SlotInputs inputs(device, 4, 10);
  int loads = 0;
  const auto count = [&](const TensorView&, const TensorView& pairs) {
    ++loads;
    EXPECT_EQ(pairs.rows(), 10 + kSampleMostBiases);
  };
  inputs.upload(plan_of({8 + static_cast<std::int32_t>(kSampleMostBiases)}), count);
  EXPECT_EQ(loads, 1);
  EXPECT_THROW(inputs.upload(plan_of({9 + static_cast<std::int32_t>(kSampleMostBiases)}), count),
               ConfigError);
}

}  // namespace
}  // namespace tutti
