#include "runtime/engine/sampler.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace tutti {
namespace {

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

TEST(Sampler, LogprobsAreTheModelsOwnDistribution) {
  const SampledToken token = sample({1, 3, 2}, {.repetition_penalty = 100, .logprobs = 2}, {1});
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
