#include "kernels/sample_slots.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/error.hpp"
#include "tests/kernels/slots_batch.hpp"

namespace tutti {
namespace {

using testing::host_exec;
using testing::SlotsBatch;

std::vector<std::int32_t> row_of(const std::vector<std::int32_t>& all, std::int64_t row,
                                 std::int64_t words) {
  return {all.begin() + row * words, all.begin() + (row + 1) * words};
}

TEST(SampleSlotsTest, ClearsASlotAndSetsItsTallies) {
  SlotsBatch batch(5, 3);
  batch.add(1, {{0, kTallyPrompt}, {3, 7}, {4, kTallyPrompt | 2}}, {});
  sample_slots(host_exec(1), batch.args());
  EXPECT_EQ(row_of(batch.tallies, 1, 4), (std::vector<std::int32_t>{0x8000, 7 << 16, 0x8002, 0}));
  EXPECT_EQ(row_of(batch.tallies, 0, 4), std::vector<std::int32_t>(4, -1));
  EXPECT_EQ(row_of(batch.tallies, 2, 4), std::vector<std::int32_t>(4, -1));
  EXPECT_THAT(batch.biases, ::testing::Each(-1));
}

TEST(SampleSlotsTest, BringsBiasesWithAndWithoutTallies) {
  SlotsBatch batch(40, 4);
  batch.add(3, {}, {{7, 1.5f}, {39, -2}});
  batch.add_biases_only(0, {{5, 0.25f}});
  sample_slots(host_exec(1), batch.args());
  EXPECT_EQ(row_of(batch.tallies, 3, 20), std::vector<std::int32_t>(20, 0));
  EXPECT_EQ(row_of(batch.tallies, 0, 20), std::vector<std::int32_t>(20, -1));
  const auto bits = [](float x) { return std::bit_cast<std::int32_t>(x); };
  const auto third = row_of(batch.biases, 3, 2 * kSampleMostBiases);
  EXPECT_EQ(std::vector<std::int32_t>(third.begin(), third.begin() + 5),
            (std::vector<std::int32_t>{7, bits(1.5f), 39, bits(-2), -1}));
  const auto first = row_of(batch.biases, 0, 2 * kSampleMostBiases);
  EXPECT_EQ(std::vector<std::int32_t>(first.begin(), first.begin() + 3),
            (std::vector<std::int32_t>{5, bits(0.25f), -1}));
}

TEST(SampleSlotsErrorTest, RefusesWhatIsNotThere) {
  const auto refused = [](const SampleSlotEntry& entry) {
    SlotsBatch batch(40, 2);
    batch.add(0, {{1, 1}, {2, 1}}, {{3, 1}});
    batch.entries = {entry};
    EXPECT_THROW(sample_slots(host_exec(1), batch.args()), ConfigError)
        << entry.slot << " " << entry.first << " " << entry.tallies << " " << entry.biases;
  };
  refused({.slot = 2, .tallies = 1});
  refused({.slot = -1, .tallies = 1});
  refused({.first = 1, .tallies = 2, .biases = 1});
  refused({.first = -1, .tallies = 1});
  refused({.biases = -1});
  refused({.biases = 4});
  SlotsBatch batch(40, 2);
  batch.add(0, {{40, 1}}, {});
  EXPECT_THROW(sample_slots(host_exec(1), batch.args()), ConfigError);
}

}  // namespace
}  // namespace tutti
