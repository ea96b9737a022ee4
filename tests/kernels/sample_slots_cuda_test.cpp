// The device against the host, word by word.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "kernels/sample_slots.hpp"
#include "tests/kernels/slots_batch.hpp"
#include "tests/support/gpu_compare.hpp"

namespace tutti {
namespace {

using testing::GpuArray;
using testing::SlotsBatch;
using testing::to_gpu;

class SampleSlotsCudaTest : public testing::GpuTest {
 protected:
  static void expect_the_hosts(SlotsBatch batch, const std::string& what) {
    const GpuArray entries =
        to_gpu(device(), DType::i32, {std::ssize(batch.entries), kSampleSlotWords},
               static_cast<const void*>(batch.entries.data()));
    const GpuArray pairs = to_gpu(device(), {std::ssize(batch.pairs) / 2, 2}, batch.pairs);
    const GpuArray tallies = to_gpu(device(), {batch.slots, batch.words}, batch.tallies);
    const GpuArray biases = to_gpu(device(), {batch.slots, kSampleMostBiases, 2}, batch.biases);
    sample_slots(exec(), {.entries = entries.view,
                          .pairs = pairs.view,
                          .tallies = tallies.view,
                          .biases = biases.view});
    sample_slots(testing::host_exec(1), batch.args());
    expect_equal(what + ", tallies", testing::ints_of(device(), tallies.view), batch.tallies);
    expect_equal(what + ", biases", testing::ints_of(device(), biases.view), batch.biases);
  }

  static void expect_equal(const std::string& what, const std::vector<std::int32_t>& found,
                           const std::vector<std::int32_t>& wanted) {
    ASSERT_EQ(found.size(), wanted.size()) << what;
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (found[i] != wanted[i] && wrong++ < 5) {
        ADD_FAILURE() << what << ": word " << i << " of " << found.size() << " is " << found[i]
                      << ", wanted " << wanted[i];
      }
    }
    EXPECT_EQ(wrong, 0u) << what;
  }
};

TEST_F(SampleSlotsCudaTest, EntersWhatTheHostEnters) {
  for (const std::int64_t vocabulary : {1, 2, 3, 5, 259, 1023, 1024, 32000, 49152, 128257}) {
    SlotsBatch batch(vocabulary, 9);
    for (std::int32_t i = 0; i < 5; ++i) {
      const std::int32_t step = 1 + i * i;
      SlotsBatch::Tallies tallied;
      for (std::int32_t id = i; id < vocabulary; id += step) {
        tallied.emplace_back(id, (id % 997 * 40503 + i) & 0xffff);
      }
      SlotsBatch::Biases biased;
      for (std::int32_t id = 0; id < std::min<std::int64_t>(vocabulary, 1 + 127 * i); ++id) {
        biased.emplace_back(id, static_cast<float>(id) * -0.5f);
      }
      const std::int32_t slot = (i * 5 + 2) % 9;
      if (i == 3) {
        batch.add_biases_only(slot, biased);
      } else {
        batch.add(slot, tallied, i == 4 ? SlotsBatch::Biases() : biased);
      }
    }
    expect_the_hosts(batch, fmt::format("{} ids", vocabulary));
  }
}

TEST_F(SampleSlotsCudaTest, TakesTheLongestLists) {
  SlotsBatch batch(2000, 2);
  SlotsBatch::Biases biased;
  for (std::int32_t id = 0; id < kSampleMostBiases; ++id) {
    biased.emplace_back(3 * id, static_cast<float>(id));
  }
  batch.add(1, {}, biased);
  batch.add_biases_only(0, {{0, 1}});
  expect_the_hosts(batch, "longest");
}

}  // namespace
}  // namespace tutti
