#include "runtime/engine/sampler.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "kernels/error.hpp"

namespace tutti {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

SampledToken sample(std::vector<float> logits, const SamplingOptions& options,
                    std::vector<TokenId> history = {0}) {
  const TensorView row(logits.data(), DType::f32, Place::host, {std::ssize(logits)});
  return sample_token({}, row, {.id = 3, .options = options}, history);
}

TEST(Sampler, GreedyTakesTheLargestAndTheFirstAmongEquals) {
  EXPECT_EQ(sample({0, 2, 1, 2}, {}).id, 1);
}

TEST(Sampler, RepetitionPenaltyWeakensWhatWasSaid) {
  EXPECT_EQ(sample({2, 1.9f}, {.repetition_penalty = 1.2}, {0}).id, 1);
  EXPECT_EQ(sample({-1, -1.1f}, {.repetition_penalty = 1.2}, {0}).id, 1);
  EXPECT_EQ(sample({2, 1.9f}, {.repetition_penalty = 1.2}, {1}).id, 0);
}

// The prompt is history's beginning.
TokenId sample_after(std::vector<float> logits, const SamplingOptions& options,
                     const std::vector<TokenId>& prompt, const std::vector<TokenId>& answer,
                     const std::vector<TokenId>& eos = {}) {
  const Request request =
      checked_request({.id = 3, .prompt = prompt, .options = options}, eos, std::ssize(logits));
  std::vector<TokenId> history = prompt;
  history.insert(history.end(), answer.begin(), answer.end());
  const TensorView row(logits.data(), DType::f32, Place::host, {std::ssize(logits)});
  return sample_token({}, row, request, history).id;
}

TEST(Sampler, PresencePenaltyWeakensWhatWasAnsweredHoweverOften) {
  const SamplingOptions options{.presence_penalty = 1};
  EXPECT_EQ(sample_after({2, 1.5f, 0}, options, {0}, {}), 0) << "the prompt does not count";
  EXPECT_EQ(sample_after({2, 1.5f, 0}, options, {0}, {0}), 1);
  EXPECT_EQ(sample_after({2, 0.5f, 0}, options, {2}, {0, 0, 0}), 0);
  EXPECT_EQ(sample_after({2, 1.5f, 0}, {.presence_penalty = -1}, {2}, {1}), 1);
}

TEST(Sampler, FrequencyPenaltyCounts) {
  const SamplingOptions options{.frequency_penalty = 0.5};
  EXPECT_EQ(sample_after({2, 1, 0}, options, {0, 0, 0}, {0}), 0);
  EXPECT_EQ(sample_after({2, 1, 0}, options, {0, 0, 0}, {0, 0, 0}), 1);
  EXPECT_EQ(sample_after({2, 1, 0}, options, {0, 0, 0}, {0, 1, 0, 0}), 0);
}

TEST(Sampler, BiasesComeBeforePenalties) {
  SamplingOptions options{.repetition_penalty = 2, .logit_bias = {{0, 3}}};
  EXPECT_EQ(sample_after({-1, 1.5f}, options, {0}, {}), 1) << "(-1 + 3) / 2 = 1";
  EXPECT_EQ(sample_after({-1, 0.5f}, options, {0}, {}), 0);
}

TEST(Sampler, BiasesOfOneIdAddUp) {
  EXPECT_EQ(sample_after({1, 0, 0}, {.logit_bias = {{1, 0.75f}, {2, 1.25f}, {1, 0.75f}}}, {0}, {}),
            1);
}

TEST(Sampler, BannedIdsAreNeverDrawn) {
  SamplingOptions options{.temperature = 1, .logit_bias = {{0, -kInfinity}, {1, -kInfinity}}};
  for (options.seed = 0; options.seed < 50; ++options.seed) {
    EXPECT_EQ(sample_after({90, 80, 1}, options, {0}, {}), 2);
  }
}

TEST(Sampler, SomethingMustBeLeftToDraw) {
  SamplingOptions options{.logit_bias = {{0, -kInfinity}, {1, -kInfinity}, {2, -kInfinity}}};
  EXPECT_THROW(sample_after({90, 80, 1}, options, {0}, {}), ConfigError);
  options.logit_bias.pop_back();
  EXPECT_EQ(sample_after({90, 80, 1}, options, {0}, {}, {2}), 2);
  options.min_tokens = 1;
  EXPECT_THROW(sample_after({90, 80, 1}, options, {0}, {}, {2}), ConfigError);
}

TEST(Sampler, MinTokensBansEndsUntilSoManyWereMade) {
  const std::vector<TokenId> eos{2, 700};  // the model has no row for one of them
  const SamplingOptions options{.min_tokens = 2, .stop_ids = {1, 2}};
  EXPECT_EQ(sample_after({1, 3, 4, 2}, options, {0}, {}, eos), 3);
  EXPECT_EQ(sample_after({1, 3, 4, 2}, options, {0}, {3}, eos), 3);
  EXPECT_EQ(sample_after({1, 3, 4, 2}, options, {0}, {3, 3}, eos), 2);
}

TEST(Sampler, MinTokensLeavesAnEndThatIsIgnoredAlone) {
  EXPECT_EQ(sample_after({1, 3, 4}, {.min_tokens = 2, .ignore_eos = true}, {0}, {}, {2}), 2);
  EXPECT_EQ(
      sample_after({1, 3, 4}, {.min_tokens = 2, .ignore_eos = true, .stop_ids = {2}}, {0}, {}, {2}),
      1);
}

TEST(Sampler, TalliesTellPromptFromAnswerAndStopAtTheirMost) {
  std::vector<TokenId> history{4, 5, 4, 5, 6, 6};
  auto tallies = tallies_of(history, 3);
  EXPECT_EQ(tallies,
            (std::unordered_map<TokenId, Tally>{{4, kTallyPrompt}, {5, kTallyPrompt | 1}, {6, 2}}));
  history.assign(40000, 7);
  tallies = tallies_of(history, 1);
  EXPECT_EQ(tallies.at(7), kTallyPrompt | kTallyMostCounted);
  EXPECT_THROW(tallies_of(std::vector<TokenId>{1, -1}, 1), Error);
}

TEST(Sampler, OptionsThatCannotBeAreNamed) {
  const auto refused = [](const SamplingOptions& options, const std::string& word) {
    EXPECT_THAT([&] { checked_request({.id = 3, .options = options}, {}, 10); },
                ::testing::ThrowsMessage<ConfigError>(::testing::AllOf(
                    ::testing::HasSubstr("request 3"), ::testing::HasSubstr(word))));
  };
  refused({.temperature = -1}, "temperature");
  refused({.temperature = std::nan("")}, "temperature");
  refused({.temperature = 1e300}, "temperature");
  refused({.top_k = -1}, "top_k");
  refused({.top_p = 1.5}, "top_p");
  refused({.min_p = -0.5}, "min_p");
  refused({.repetition_penalty = 0}, "repetition_penalty");
  refused({.presence_penalty = HUGE_VAL}, "presence_penalty");
  refused({.frequency_penalty = std::nan("")}, "frequency_penalty");
  refused({.min_tokens = -1}, "min_tokens");
  refused({.logit_bias = {{10, 1}}}, "token id 10");
  refused({.logit_bias = {{-1, 1}}}, "token id -1");
  refused({.logit_bias = {{4, kInfinity}}}, "logit_bias");
  refused({.logit_bias = {{4, 3e38F}}}, "logit_bias");
  refused({.logit_bias = {{4, -3e38F}}}, "logit_bias");
  refused({.logit_bias = {{4, 6e5F}, {4, 6e5F}}}, "logit_bias");
  refused({.logit_bias = {{4, std::nanf("")}}}, "logit_bias");
}

TEST(Sampler, LogprobsAreTheModelsOwnDistribution) {
  const SampledToken token = sample({1, 3, 2},
                                    {.repetition_penalty = 100,
                                     .presence_penalty = 1,
                                     .logit_bias = {{0, -kInfinity}},
                                     .logprobs = 2},
                                    {1});
  const double norm = std::log(std::exp(1.0) + std::exp(2.0) + std::exp(3.0));
  EXPECT_EQ(token.id, 2);
  EXPECT_NEAR(token.logprob.value(), 2 - norm, 1e-6);
  ASSERT_EQ(token.top.size(), 2u);
  EXPECT_EQ(token.top[0].id, 1);
  EXPECT_NEAR(token.top[0].logprob, 3 - norm, 1e-6);
  EXPECT_EQ(token.top[1].id, 2);
}

TEST(Sampler, TheDrawDependsOnSeedAndPositionOnly) {
  const std::vector<float> flat(64, 0.0f);
  SamplingOptions options{.temperature = 1, .seed = 5};
  const TokenId first = sample(flat, options, {1, 2}).id;
  EXPECT_EQ(sample(flat, options, {3, 4}).id, first);
  bool differs = false;
  for (std::size_t length = 3; length < 12; ++length) {
    differs |= sample(flat, options, std::vector<TokenId>(length, 1)).id != first;
  }
  EXPECT_TRUE(differs);
}

}  // namespace
}  // namespace tutti
