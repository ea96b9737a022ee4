#include "kernels/sample_rows.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/error.hpp"
#include "tests/kernels/sample_batch.hpp"

namespace tutti {
namespace {

using ::testing::ElementsAre;
using testing::host_exec;
using testing::SampleBatch;

TEST(SampleRowsTest, GivesEachRowWhatSampleGives) {
  SampleBatch batch(4, 1000, 6);
  batch.rules[0] = {.temperature = 0, .slot = 5};
  batch.rules[1] = {.seed = 1, .request = 2, .position = 3, .temperature = 0.7f, .slot = 0};
  batch.rules[2] = {.seed = 1, .request = 2, .position = 4, .top_p = 0.9f, .top_k = 20, .slot = 3};
  batch.rules[3] = {.seed = 9, .request = 7, .position = 3, .min_p = 0.2f, .slot = 1};
  std::vector<std::int32_t> wanted;
  for (std::int64_t row = 0; row < 4; ++row) {
    const SampleRowRule& rule = batch.rules[std::size_t(row)];
    wanted.push_back(
        sample(host_exec(1),
               TensorView(&batch.logits[std::size_t(row * 1000)], DType::f32, Place::host, {1000}),
               testing::rule_of(rule)));
  }
  sample_rows(host_exec(1), batch.args());
  EXPECT_EQ(batch.ids, wanted);
  EXPECT_THAT(batch.last, ElementsAre(wanted[1], wanted[3], -7, wanted[2], -7, wanted[0]));
  EXPECT_THAT(batch.seen_ids(0), ElementsAre(wanted[1]));
  EXPECT_THAT(batch.seen_ids(5), ElementsAre(wanted[0]));
  EXPECT_THAT(batch.seen_ids(2), ElementsAre());
}

TEST(SampleRowsTest, PenalisesIdsThatWereSeen) {
  SampleBatch batch(1, 5, 1);
  batch.logits = {3, 4, -1, -2, 3.5f};
  batch.rules[0] = {.temperature = 0, .repetition_penalty = 2, .slot = 0};
  batch.seen = {0b01110};
  sample_rows(host_exec(1), batch.args());
  EXPECT_THAT(batch.logits, ElementsAre(3, 2, -2, -4, 3.5f));
  EXPECT_THAT(batch.ids, ElementsAre(4));
  EXPECT_THAT(batch.seen_ids(0), ElementsAre(1, 2, 3, 4));
}

TEST(SampleRowsTest, LeavesRowsThatPadTheBatchAlone) {
  SampleBatch batch(2, 40, 1);
  batch.logits[0] = std::nanf("");
  batch.rules[0] = {.temperature = -3, .repetition_penalty = 2, .slot = -1};
  batch.rules[1] = {.temperature = 0, .slot = 0};
  sample_rows(host_exec(1), batch.args());
  EXPECT_EQ(batch.ids[0], 0);
  EXPECT_THAT(batch.last, ElementsAre(batch.ids[1]));
}

TEST(SampleRowsTest, MarksRowsThatOverflowed) {
  const float inf = std::numeric_limits<float>::infinity();
  SampleBatch batch(4, 40, 4);
  batch.logits[7] = std::nanf("");
  batch.logits[40 + 39] = inf;
  std::fill_n(batch.logits.begin() + 80, 40, -inf);
  batch.logits[120] = -inf;
  for (std::int32_t row = 0; row < 4; ++row) {
    batch.rules[std::size_t(row)] = {.temperature = 1, .slot = row};
  }
  sample_rows(host_exec(1), batch.args());
  EXPECT_THAT(batch.ids, ElementsAre(-1, -1, -1, ::testing::Ge(1)));
  EXPECT_THAT(batch.last, ElementsAre(-1, -1, -1, batch.ids[3]));
  EXPECT_THAT(batch.seen_ids(0), ElementsAre());
}

TEST(SampleRowsErrorTest, RefusesASlotThatIsNotThereAndRulesThatCannotBe) {
  SampleBatch batch(1, 40, 2);
  batch.rules[0].slot = 2;
  EXPECT_THROW(sample_rows(host_exec(1), batch.args()), ConfigError);
  batch.rules[0] = {.top_p = 2, .slot = 0};
  EXPECT_THROW(sample_rows(host_exec(1), batch.args()), ConfigError);
}

TEST(SampleRowsErrorTest, NamesABitmapOfAnotherVocabulary) {
  SampleBatch batch(1, 40, 2);
  SampleRowsArgs args = batch.args();
  args.seen.shape[1] = 1;
  try {
    sample_rows(host_exec(1), args);
    FAIL() << "no error";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("seen is i32 [2, 1], wanted i32 [*, 2]"));
  }
}

}  // namespace
}  // namespace tutti
