#include "runtime/engine/step_inputs.hpp"

#include <gmock/gmock.h>

#include <cstring>

#include "kernels/sample_rows.hpp"
#include "tests/support/lazy_device.hpp"

namespace tutti {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

using Words = std::vector<std::int32_t>;

// Three sequences: a prompt of 3 tokens, and two that decode; the second has no row of logits.
StepPlan small_plan(std::int32_t first_id = 7) {
  StepPlan plan;
  plan.token_ids = {first_id, 8, 9, -1, 11};
  plan.positions = {0, 1, 2, 40, 17};
  plan.sources = {-1, -1, -1, 2, -1};
  plan.slots = {32, 33, 34, 88, 1};
  plan.query_begin = {0, 3, 4, 5};
  plan.context_length = {3, 41, 18};
  plan.max_blocks = 3;
  plan.block_table = {2, 0, 0, 5, 3, 5, 1, 0, 0};
  plan.logit_rows = {2, 4};
  plan.rules.assign(2 * kSampleRuleWords, 77);
  return plan;
}

constexpr StepExtents kWide{.tokens = 9, .sequences = 6, .wanted = 4, .max_blocks = 5};

Words words_of(const TensorView& view) {
  const auto* from = static_cast<const std::int32_t*>(view.data);
  return {from, from + view.elements()};
}

struct Where {
  const char* name;
  std::unique_ptr<Device> (*make)();
};
void PrintTo(const Where& place, std::ostream* out) {
  *out << place.name;
}

class StepInputsOn : public ::testing::TestWithParam<Where> {
 protected:
  std::unique_ptr<Device> device_ = GetParam().make();
  StepTensors upload(StepInputs& inputs, const StepPlan& plan, const StepExtents& extents) {
    const StepTensors step = inputs.upload(plan, extents);
    device_->synchronize();
    return step;
  }
};

TEST_P(StepInputsOn, LaysOutAPlanAsItIs) {
  const StepPlan plan = small_plan();
  StepInputs inputs(*device_, StepExtents::of(plan), true);
  const StepTensors step = upload(inputs, plan, StepExtents::of(plan));
  EXPECT_EQ(words_of(step.ids), plan.token_ids);
  EXPECT_EQ(words_of(step.positions), plan.positions);
  EXPECT_EQ(words_of(step.sources), plan.sources);
  EXPECT_EQ(words_of(step.slots), plan.slots);
  EXPECT_EQ(words_of(step.query_begin), plan.query_begin);
  EXPECT_EQ(words_of(step.context_length), plan.context_length);
  EXPECT_EQ(words_of(step.block_table), plan.block_table);
  EXPECT_EQ(words_of(step.logit_rows), plan.logit_rows);
  EXPECT_EQ(words_of(step.rules), plan.rules);
  EXPECT_EQ(step.most_queries, 3);
  EXPECT_EQ(step.most_context, 41);
  EXPECT_EQ(step.rules.shape[1], kSampleRuleWords);
  EXPECT_EQ(step.block_table.shape[1], 3);
  EXPECT_EQ(step.ids.place, device_->place());
}

TEST_P(StepInputsOn, PadsWithWhatNobodyComputesOrReads) {
  StepInputs inputs(*device_, kWide, true);
  const StepTensors step = upload(inputs, small_plan(), kWide);
  EXPECT_THAT(words_of(step.ids), ElementsAre(7, 8, 9, -1, 11, 0, 0, 0, 0));
  EXPECT_THAT(words_of(step.positions), ElementsAre(0, 1, 2, 40, 17, 0, 0, 0, 0));
  EXPECT_THAT(words_of(step.sources), ElementsAre(-1, -1, -1, 2, -1, -1, -1, -1, -1));
  EXPECT_THAT(words_of(step.slots), ElementsAre(32, 33, 34, 88, 1, -1, -1, -1, -1));
  EXPECT_THAT(words_of(step.query_begin), ElementsAre(0, 3, 4, 5, 6, 7, 8));
  EXPECT_THAT(words_of(step.context_length), ElementsAre(3, 41, 18, 0, 0, 0));
  EXPECT_THAT(words_of(step.logit_rows), ElementsAre(2, 4, 0, 0));
  const std::vector<Words> table = {{2, 0, 0, 0, 0}, {5, 3, 5, 0, 0}, {1, 0, 0, 0, 0},
                                    {0, 0, 0, 0, 0}, {0, 0, 0, 0, 0}, {0, 0, 0, 0, 0}};
  const Words found = words_of(step.block_table);
  for (std::size_t row = 0; row < table.size(); ++row) {
    const auto* from = found.data() + 5 * row;
    EXPECT_THAT(Words(from, from + 5), ElementsAreArray(table[row])) << row;
  }
}

TEST_P(StepInputsOn, PadsRulesWithRowsOfNoSlot) {
  StepInputs inputs(*device_, kWide, true);
  const StepTensors step = upload(inputs, small_plan(), kWide);
  const Words words = words_of(step.rules);
  ASSERT_EQ(std::ssize(words), 4 * kSampleRuleWords);
  EXPECT_THAT(Words(words.begin(), words.begin() + 2 * kSampleRuleWords), Each(77));
  for (const std::int64_t row : {2, 3}) {
    SampleRowRule rule;
    std::memcpy(static_cast<void*>(&rule), words.data() + row * kSampleRuleWords, sizeof rule);
    EXPECT_EQ(rule.slot, -1) << row;
  }
}

TEST_P(StepInputsOn, EqualExtentsGiveEqualPlaces) {
  StepInputs inputs(*device_, kWide, true);
  const StepTensors one = upload(inputs, small_plan(), kWide);
  StepPlan shorter = small_plan(100);
  shorter.token_ids.pop_back();
  shorter.positions.pop_back();
  shorter.sources.pop_back();
  shorter.slots.pop_back();
  shorter.query_begin.pop_back();
  shorter.context_length.pop_back();
  shorter.block_table.resize(6);
  shorter.logit_rows = {2};
  shorter.rules.resize(kSampleRuleWords);
  for (int turn = 0; turn < 3; ++turn) {
    const StepTensors two = upload(inputs, shorter, kWide);
    const auto views = [](const StepTensors& step) {
      return std::vector<void*>{
          step.ids.data,         step.positions.data,   step.sources.data,
          step.slots.data,       step.query_begin.data, step.context_length.data,
          step.block_table.data, step.logit_rows.data,  step.rules.data};
    };
    EXPECT_EQ(views(one), views(two)) << turn;
    EXPECT_EQ(words_of(two.ids).front(), 100);
    EXPECT_EQ(words_of(two.context_length)[2], 0);
  }
}

// Every array begins where kernels may read 16 bytes at once, none overlaps another, and the last
// ends within the memory that was taken.
TEST_P(StepInputsOn, ArraysLieBehindEachOtherWithinTheMemory) {
  for (const std::int64_t n : {1, 3, 4, 5, 8, 17}) {
    const StepExtents most{.tokens = n + 2, .sequences = n, .wanted = n + 1, .max_blocks = n};
    for (const bool samples : {false, true}) {
      StepInputs inputs(*device_, most, samples);
      EXPECT_EQ(inputs.bytes(), static_cast<std::size_t>(most.words(samples)) * 4);
      StepPlan plan;
      plan.query_begin = {0};
      const StepTensors step = upload(inputs, plan, most);
      std::vector<TensorView> views = {step.ids,         step.positions,   step.sources,
                                       step.slots,       step.query_begin, step.context_length,
                                       step.block_table, step.logit_rows};
      if (samples) {
        views.push_back(step.rules);
      } else {
        EXPECT_TRUE(step.rules.empty());
      }
      const auto* begin = static_cast<const std::byte*>(step.ids.data);
      const auto* end = begin;
      for (const TensorView& view : views) {
        const auto* at = static_cast<const std::byte*>(view.data);
        EXPECT_EQ((at - begin) % 16, 0);
        EXPECT_GE(at, end);
        end = at + view.bytes();
      }
      EXPECT_LE(end - begin, static_cast<std::ptrdiff_t>(inputs.bytes()));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Places, StepInputsOn,
                         ::testing::Values(Where{"host", [] { return make_host_device(1); }},
                                           Where{"device",
                                                 []() -> std::unique_ptr<Device> {
                                                   return std::make_unique<test::LazyDevice>();
                                                 }}),
                         [](const auto& tested) { return tested.param.name; });

TEST(StepExtents, OfADecodeStepHoldOneTokenAndRowEach) {
  const StepExtents extents = StepExtents::decode(6, 20);
  EXPECT_EQ(extents.tokens, 6);
  EXPECT_EQ(extents.sequences, 6);
  EXPECT_EQ(extents.wanted, 6);
  EXPECT_EQ(extents.max_blocks, 20);
}

// The copies run late: each must still find the plan it was enqueued with.
TEST(StepInputs, StagingIsNotWrittenBeforeItWasRead) {
  test::LazyDevice device;
  StepInputs inputs(device, kWide, true);
  std::vector<std::int32_t> read;
  for (std::int32_t turn = 0; turn < 7; ++turn) {
    const StepTensors step = inputs.upload(small_plan(100 + turn), kWide);
    device.enqueue([step, &read] { read.push_back(words_of(step.ids).front()); });
  }
  EXPECT_THAT(read, ElementsAre(100, 101, 102, 103)) << "two plans wait, the device has the rest";
  device.synchronize();
  EXPECT_THAT(read, ElementsAre(100, 101, 102, 103, 104, 105, 106));
}

}  // namespace
}  // namespace tutti
