#include "runtime/engine/step_sampler.hpp"

#include <gmock/gmock.h>

#include <bit>
#include <cstring>
#include <limits>
#include <map>

#include "kernels/error.hpp"
#include "kernels/sample_rows.hpp"
#include "kernels/sample_slots.hpp"
#include "tests/support/byte_tokenizer.hpp"
#include "tests/support/logit_model.hpp"

namespace tutti {
namespace {

using test::LogitModel;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

class StepSamplerTest : public ::testing::Test {
 protected:
  Sequence sequence_of(const std::vector<TokenId>& prompt, const SamplingOptions& options) {
    const std::vector<TokenId> eos{258};
    const Request request = checked_request({.id = 1, .prompt = prompt, .options = options}, eos,
                                            LogitModel::kVocabulary);
    return {.request = request, .tokens = prompt, .text = AnswerText(tokenizer_, {})};
  }
  SampleRowRule rule_of(const Sequence& sequence) const {
    StepPlan plan;
    sampler_.add_rule(sequence, plan);
    SampleRowRule rule;
    EXPECT_EQ(std::ssize(plan.rules), kSampleRuleWords);
    std::memcpy(static_cast<void*>(&rule), plan.rules.data(), sizeof rule);
    return rule;
  }

  test::ByteTokenizer tokenizer_;
  LogitModel model_{true, 16, 3};
  StepSampler sampler_{model_};
};

struct Brought {
  SampleSlotEntry entry;
  std::map<TokenId, int> tallies;
  std::vector<std::pair<TokenId, float>> biases;
};
std::vector<Brought> brought_by(const StepPlan& plan) {
  std::vector<Brought> all;
  for (std::size_t at = 0; at < plan.slot_entries.size(); at += kSampleSlotWords) {
    Brought brought;
    std::memcpy(static_cast<void*>(&brought.entry), &plan.slot_entries[at], sizeof brought.entry);
    const std::int32_t* pair = plan.slot_pairs.data() + 2 * brought.entry.first;
    for (std::int32_t i = 0; i < brought.entry.tallies; ++i, pair += 2) {
      brought.tallies[pair[0]] = pair[1];
    }
    for (std::int32_t i = 0; i < brought.entry.biases; ++i, pair += 2) {
      brought.biases.emplace_back(pair[0], std::bit_cast<float>(pair[1]));
    }
    all.push_back(brought);
  }
  return all;
}

TEST_F(StepSamplerTest, SequencesWithoutRulesBringNothing) {
  Sequence plain = sequence_of({1, 2}, {.temperature = 1, .top_p = 0.5});
  Sequence drawn_here = sequence_of({1, 2}, {.presence_penalty = 1, .logprobs = 1});
  StepPlan plan;
  sampler_.admit(plain, plan);
  sampler_.admit(drawn_here, plan);
  EXPECT_TRUE(plan.slot_entries.empty());
  EXPECT_TRUE(plan.slot_pairs.empty());
  EXPECT_NE(plain.slot, drawn_here.slot);
  EXPECT_EQ(rule_of(plain).slot, plain.slot);
  EXPECT_EQ(rule_of(drawn_here).slot, -1);
}

TEST_F(StepSamplerTest, BringsBiasesThenBansWhichTheRuleCountsUntilMinTokens) {
  Sequence sequence =
      sequence_of({1, 2}, {.logit_bias = {{9, 2}, {4, 1}}, .min_tokens = 2, .stop_ids = {7}});
  StepPlan plan;
  sampler_.admit(sequence, plan);
  const auto brought = brought_by(plan);
  ASSERT_EQ(brought.size(), 1u);
  EXPECT_EQ(brought[0].entry.tallies, -1);
  EXPECT_EQ(brought[0].biases, (std::vector<std::pair<TokenId, float>>{
                                   {4, 1}, {9, 2}, {7, -kInfinity}, {258, -kInfinity}}));
  std::vector<std::int32_t> bans;
  for (int step = 0; step < 4; ++step) {
    EXPECT_EQ(rule_of(sequence).biases, 2);
    bans.push_back(rule_of(sequence).bans);
    sequence.tokens.push_back(kUnheard);
  }
  EXPECT_THAT(bans, ::testing::ElementsAre(2, 2, 0, 0));
}

// As after a preemption.
TEST_F(StepSamplerTest, ASequenceMayComeBackToAnotherSlotWithItsAnswer) {
  Sequence sequence = sequence_of({5, 6, 5}, {.frequency_penalty = 1, .min_tokens = 3});
  StepPlan plan;
  sampler_.admit(sequence, plan);
  EXPECT_EQ(brought_by(plan)[0].tallies,
            (std::map<TokenId, int>{{5, kTallyPrompt}, {6, kTallyPrompt}}));
  const std::int32_t before = sequence.slot;
  sampler_.admit(sequence, plan);  // has its slot
  EXPECT_EQ(brought_by(plan).size(), 1u);

  sampler_.release(sequence);
  EXPECT_EQ(sequence.slot, -1);
  sampler_.release(sequence);  // has none
  Sequence other = sequence_of({1}, {});
  StepPlan later;
  sampler_.admit(other, later);
  EXPECT_EQ(other.slot, before);
  sequence.tokens.insert(sequence.tokens.end(), {6, 8, 8});
  sampler_.admit(sequence, later);
  EXPECT_NE(sequence.slot, before);
  const auto brought = brought_by(later);
  ASSERT_EQ(brought.size(), 1u);
  EXPECT_EQ(brought[0].entry.slot, sequence.slot);
  EXPECT_EQ(brought[0].tallies,
            (std::map<TokenId, int>{{5, kTallyPrompt}, {6, kTallyPrompt | 1}, {8, 2}}));
  EXPECT_EQ(rule_of(sequence).bans, 0) << "three tokens were made";
  EXPECT_EQ(rule_of(sequence).position, 6u);
  EXPECT_EQ(sampler_.source_of(sequence, 5), -1) << "its last token is not in the new slot";
  sequence.tokens.push_back(kUnheard);
  EXPECT_EQ(sampler_.source_of(sequence, 6), sequence.slot);
}

TEST_F(StepSamplerTest, ASequenceWithATokenOnItsWayCannotComeBackWithPenalties) {
  Sequence sequence = sequence_of({5, 6, 5}, {.frequency_penalty = 1});
  sequence.tokens.push_back(kUnheard);
  StepPlan plan;
  EXPECT_THROW(sampler_.admit(sequence, plan), Error);
}

}  // namespace
}  // namespace tutti
