#include "kernels/sample_rows.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/error.hpp"
#include "tests/kernels/sample_batch.hpp"

namespace tutti {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using testing::host_exec;
using ::testing::Pair;
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
  for (const std::int64_t slot : {0, 2, 5}) {  // nobody asks for tallies
    EXPECT_THAT(batch.tallied(slot), ElementsAre());
  }
}

TEST(SampleRowsTest, PenalisesIdsThatWereSeen) {
  SampleBatch batch(1, 5, 1);
  batch.logits = {3, 4, -1, -2, 3.5f};
  batch.rules[0] = {.temperature = 0, .repetition_penalty = 2, .slot = 0};
  batch.set_tally(0, 1, kTallyPrompt);
  batch.set_tally(0, 2, 3);
  batch.set_tally(0, 3, kTallyPrompt | 1);
  sample_rows(host_exec(1), batch.args());
  EXPECT_THAT(batch.logits, ElementsAre(3, 2, -2, -4, 3.5f));
  EXPECT_THAT(batch.ids, ElementsAre(4));
  EXPECT_THAT(batch.tallied(0), ElementsAre(Pair(1, kTallyPrompt), Pair(2, 3),
                                            Pair(3, kTallyPrompt | 1), Pair(4, 1)));
}

TEST(SampleRowsTest, PresenceAndFrequencyLookAtTheAnswerOnly) {
  SampleBatch batch(1, 5, 1);
  batch.logits = {3, 4, -1, -2, 3.5f};
  batch.rules[0] = {.temperature = 0, .presence_penalty = 1, .frequency_penalty = 0.5f, .slot = 0};
  batch.set_tally(0, 1, kTallyPrompt);
  batch.set_tally(0, 2, 3);
  batch.set_tally(0, 3, kTallyPrompt | 1);
  sample_rows(host_exec(1), batch.args());
  EXPECT_THAT(batch.logits, ElementsAre(3, 4, -3.5f, -3.5f, 3.5f));
  EXPECT_THAT(batch.ids, ElementsAre(1));
  EXPECT_EQ(batch.tally(0, 1), kTallyPrompt | 1);
}

TEST(SampleRowsTest, PenaltiesWorkOneAfterTheOther) {
  EXPECT_EQ(penalised(6, 2, 2, 1, 0.25f), 6.0f / 2 - 1.5f);
  EXPECT_EQ(penalised(-6, 2, 2, 1, 0.25f), -12 - 1.5f);
  EXPECT_EQ(penalised(6, kTallyPrompt, 2, 1, 0.25f), 3);
  EXPECT_EQ(penalised(6, kTallyPrompt | 1, 1, -1, -0.5f), 7.5f) << "negative ones reward";
  const float inf = std::numeric_limits<float>::infinity();
  EXPECT_EQ(penalised(-inf, 1, 1.5f, 1, 1), -inf);
  EXPECT_EQ(penalised(-inf, 1, 0.5f, -1, -1), -inf);
}

TEST(SampleRowsTest, CountsItsOwnAnswersFromStepToStep) {
  SampleBatch batch(1, 4, 1);
  batch.rules[0] = {.temperature = 0, .frequency_penalty = 1, .slot = 0};
  std::vector<std::int32_t> answer;
  for (int step = 0; step < 7; ++step) {
    batch.logits = {1, 3.5f, 2.25f, -8};
    sample_rows(host_exec(1), batch.args());
    answer.push_back(batch.ids[0]);
  }
  EXPECT_THAT(answer, ElementsAre(1, 1, 2, 1, 2, 0, 1));  // 3.5 2.5 2.25 1.5 1.25 1 0.5
  EXPECT_THAT(batch.tallied(0), ElementsAre(Pair(0, 1), Pair(1, 4), Pair(2, 2)));
}

TEST(SampleRowsTest, ATallyThatIsFullStaysFull) {
  SampleBatch batch(1, 3, 1);
  batch.rules[0] = {.temperature = 0, .frequency_penalty = 0.001f, .slot = 0};
  batch.set_tally(0, 1, kTallyPrompt | (kTallyMostCounted - 1));
  for (int step = 0; step < 3; ++step) {
    batch.logits = {0, 100, 0};
    sample_rows(host_exec(1), batch.args());
    EXPECT_EQ(batch.ids[0], 1);
    EXPECT_EQ(batch.tally(0, 1), kTallyPrompt | kTallyMostCounted);
    EXPECT_EQ(batch.tally(0, 0), 0);
    EXPECT_EQ(batch.tally(0, 2), 0);
  }
}

TEST(SampleRowsTest, AddsBiasesBeforeAndBansAfterThePenalties) {
  const float inf = std::numeric_limits<float>::infinity();
  SampleBatch batch(1, 6, 2);
  batch.logits = {1, 2, 3, 4, 5, 6};
  batch.rules[0] = {.temperature = 0, .repetition_penalty = 2, .slot = 1, .biases = 3, .bans = 2};
  batch.set_biases(1, {{0, 3}, {3, -inf}, {4, 100}}, {5, 4});
  batch.set_tally(1, 0, kTallyPrompt);
  batch.set_tally(1, 4, kTallyPrompt);
  sample_rows(host_exec(1), batch.args());
  EXPECT_THAT(batch.logits, ElementsAre(2, 2, 3, -inf, -inf, -inf));
  EXPECT_THAT(batch.ids, ElementsAre(2));
}

TEST(SampleRowsTest, RowsPassOverPairsThatTheirRuleDoesNotCount) {
  SampleBatch batch(2, 6, 2);
  batch.logits = {1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6};
  batch.rules[0] = {.temperature = 0, .slot = 0, .biases = 1};
  batch.rules[1] = {.temperature = 0, .slot = 1};
  batch.set_biases(0, {{0, 9}}, {5});
  batch.set_biases(1, {{2, 9}}, {5});
  sample_rows(host_exec(1), batch.args());
  EXPECT_THAT(batch.ids, ElementsAre(0, 5));
}

TEST(SampleRowsTest, ABiasThatLeavesNothingToDrawMarksTheRow) {
  const float inf = std::numeric_limits<float>::infinity();
  SampleBatch batch(3, 2, 3);
  batch.logits.assign(6, 1);
  for (std::int32_t slot = 0; slot < 3; ++slot) {
    batch.rules[std::size_t(slot)] = {.presence_penalty = 1, .slot = slot, .biases = 1, .bans = 1};
  }
  batch.set_biases(0, {{0, -inf}}, {1});
  batch.set_biases(1, {{0, inf}}, {1});
  batch.set_biases(2, {{0, inf}}, {0});  // infinity minus infinity
  sample_rows(host_exec(1), batch.args());
  EXPECT_THAT(batch.ids, ElementsAre(-1, -1, -1));
  EXPECT_THAT(batch.tallies, Each(0));
}

TEST(SampleRowsTest, LeavesRowsThatPadTheBatchAlone) {
  SampleBatch batch(2, 40, 1);
  batch.logits[0] = std::nanf("");
  batch.rules[0] = {.temperature = -3,
                    .repetition_penalty = 2,
                    .frequency_penalty = 1,
                    .slot = -1,
                    .biases = 1000};
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
}

TEST(SampleRowsErrorTest, RefusesASlotThatIsNotThereAndRulesThatCannotBe) {
  SampleBatch batch(1, 40, 2);
  batch.rules[0].slot = 2;
  EXPECT_THROW(sample_rows(host_exec(1), batch.args()), ConfigError);
  batch.rules[0] = {.top_p = 2, .slot = 0};
  EXPECT_THROW(sample_rows(host_exec(1), batch.args()), ConfigError);
}

TEST(SampleRowsErrorTest, RefusesBiasesThatCannotBe) {
  SampleBatch batch(1, 40, 2);
  batch.rules[0] = {.slot = 1, .biases = kSampleMostBiases, .bans = 1};
  EXPECT_THROW(sample_rows(host_exec(1), batch.args()), ConfigError);
  batch.rules[0] = {.slot = 1, .bans = -1};
  EXPECT_THROW(sample_rows(host_exec(1), batch.args()), ConfigError);
  batch.rules[0] = {.slot = 1, .bans = 1};
  for (const std::int32_t id : {-1, 40}) {
    batch.set_biases(1, {}, {id});
    EXPECT_THROW(sample_rows(host_exec(1), batch.args()), ConfigError) << id;
  }
}

TEST(SampleRowsErrorTest, NamesTalliesOfAnotherVocabulary) {
  SampleBatch batch(1, 40, 2);
  SampleRowsArgs args = batch.args();
  args.tallies.shape[1] = 18;
  try {
    sample_rows(host_exec(1), args);
    FAIL() << "no error";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("tallies is i32 [2, 18], wanted i32 [*, 20]"));
  }
}

}  // namespace
}  // namespace tutti
