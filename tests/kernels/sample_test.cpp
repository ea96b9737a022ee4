#include "kernels/sample.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "kernels/error.hpp"
#include "kernels/philox.hpp"
#include "tests/kernels/kernel_fixture.hpp"

namespace tutti {
namespace {

using testing::host_exec;
using testing::random_floats;
using testing::view_of;

std::int32_t sample_from(std::vector<float>& logits, const SampleRule& rule) {
  return sample(host_exec(1), view_of(logits, {std::int64_t(logits.size())}), rule);
}

// The known answers that the authors distribute with Random123.
TEST(PhiloxTest, GivesTheKnownAnswers) {
  EXPECT_EQ(philox_4x32_10({0, 0, 0, 0}, {0, 0}),
            (PhiloxCounter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(
      philox_4x32_10({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
      (PhiloxCounter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(
      philox_4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
      (PhiloxCounter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(UniformDrawTest, DependsOnEachArgumentAndStaysInTheUnitInterval) {
  std::set<double> seen;
  double sum = 0;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    for (double u : {uniform_draw(i, 1, 2), uniform_draw(i << 32, 1, 2), uniform_draw(1, i + 7, 2),
                     uniform_draw(1, 3, i + 9)}) {
      ASSERT_GE(u, 0.0);
      ASSERT_LT(u, 1.0);
      seen.insert(u);
      sum += u;
    }
  }
  EXPECT_GE(seen.size(), 3990u);  // i = 0 coincides with its shifted self
  EXPECT_NEAR(sum / 4000, 0.5, 5 * 0.2887 / std::sqrt(4000.0));
  EXPECT_EQ(uniform_draw(5, 6, 7), uniform_draw(5, 6, 7));
}

// The rule in double precision with full sorts: temperature, top-k, top-p, min-p, draw in id order.
std::int32_t reference_sample(const std::vector<float>& logits, const SampleRule& rule) {
  std::vector<std::int32_t> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  const auto logit = [&](std::int32_t id) { return double{logits[std::size_t(id)]}; };
  std::stable_sort(ids.begin(), ids.end(),
                   [&](std::int32_t a, std::int32_t b) { return logit(a) > logit(b); });
  const double largest = logit(ids[0]);
  const auto weight = [&](std::int32_t id) {
    return std::exp((logit(id) - largest) / double{rule.temperature});
  };
  if (rule.top_k > 0 && std::size_t(rule.top_k) < ids.size()) {
    ids.resize(std::size_t(rule.top_k));
  }
  double total = 0;
  for (std::int32_t id : ids) {
    total += weight(id);
  }
  if (rule.top_p < 1) {
    double sum = 0;
    std::size_t count = 0;
    while (count < ids.size() && (count == 0 || sum < double{rule.top_p} * total)) {
      sum += weight(ids[count++]);
    }
    ids.resize(count);
  }
  std::erase_if(ids, [&](std::int32_t id) { return weight(id) < double{rule.min_p}; });
  std::sort(ids.begin(), ids.end());
  total = 0;
  for (std::int32_t id : ids) {
    total += weight(id);
  }
  double sum = 0;
  for (std::int32_t id : ids) {
    sum += weight(id);
    if (sum > uniform_draw(rule.seed, rule.request, rule.position) * total) {
      return id;
    }
  }
  return ids.back();
}

struct Case {
  int vocabulary;
  float spread;
  SampleRule rule;
};

class SampleTest : public ::testing::TestWithParam<Case> {};

TEST_P(SampleTest, DrawsWhatTheRuleSays) {
  const Case c = GetParam();
  std::vector<float> logits = random_floats(c.vocabulary, 11);
  for (float& logit : logits) {
    logit *= c.spread;
  }
  for (std::uint64_t position = 0; position < 40; ++position) {
    SampleRule rule = c.rule;
    rule.position = position;
    ASSERT_EQ(sample_from(logits, rule), reference_sample(logits, rule)) << position;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Rules, SampleTest,
    ::testing::Values(Case{1, 1, {.seed = 1}}, Case{100, 3, {.seed = 2}},
                      Case{1000, 8, {.temperature = 0.7f, .seed = 3}},
                      Case{5000, 8, {.top_k = 50, .seed = 4}},
                      Case{5000, 8, {.top_k = 6000, .seed = 5}},
                      Case{5000, 20, {.top_p = 0.9f, .seed = 6}},
                      Case{5000, 0.1f, {.top_p = 0.95f, .seed = 7}},  // most ids are needed
                      Case{700, 8, {.temperature = 1.3f, .top_k = 40, .top_p = 0.8f, .seed = 8}},
                      Case{3000, 9, {.min_p = 0.1f, .seed = 9}},
                      Case{3000, 9, {.top_p = 0.5f, .min_p = 0.3f, .seed = 10}},
                      Case{3001, 9, {.top_k = 2, .top_p = 0.99f, .min_p = 0.9f, .seed = 12}},
                      Case{300, 5, {.top_p = 0, .seed = 13}}));

TEST(SampleTest, TemperatureZeroTakesTheSmallestIdAmongEquals) {
  for (int size : {5, 16, 100, 101}) {
    std::vector<float> logits(std::size_t(size), -1.0f);
    logits[3] = logits[std::size_t(size - 1)] = 2.5f;
    EXPECT_EQ(sample_from(logits, {.temperature = 0}), 3);
    EXPECT_EQ(sample_from(logits, {.top_k = 1}), 3);
  }
}

TEST(SampleTest, TiesAtTheEdgeOfTopKKeepTheSmallestIds) {
  std::vector<float> logits(500, 1.0f);
  std::set<std::int32_t> seen;
  for (std::uint64_t position = 0; position < 200; ++position) {
    seen.insert(sample_from(logits, {.top_k = 3, .position = position}));
  }
  EXPECT_EQ(seen, (std::set<std::int32_t>{0, 1, 2}));
}

TEST(SampleTest, FollowsTheDistribution) {
  std::vector<float> logits = {std::log(0.5f), std::log(0.3f), std::log(0.2f), -INFINITY};
  std::vector<int> counts(4);
  constexpr int kDraws = 20000;
  for (std::uint64_t position = 0; position < kDraws; ++position) {
    ++counts[std::size_t(sample_from(logits, {.seed = 42, .request = 3, .position = position}))];
  }
  // Five standard deviations of a binomial count.
  EXPECT_NEAR(counts[0], 0.5 * kDraws, 5 * std::sqrt(kDraws * 0.25));
  EXPECT_NEAR(counts[1], 0.3 * kDraws, 5 * std::sqrt(kDraws * 0.21));
  EXPECT_NEAR(counts[2], 0.2 * kDraws, 5 * std::sqrt(kDraws * 0.16));
  EXPECT_EQ(counts[3], 0);
}

TEST(SampleErrorTest, NamesTheTokenWhoseLogitIsNotANumber) {
  for (std::size_t at : {std::size_t{2}, std::size_t{98}}) {
    std::vector<float> logits(100, 0.0f);
    logits[at] = std::nanf("");
    try {
      sample_from(logits, {.temperature = 0});
      FAIL() << "no error";
    } catch (const ConfigError&) {
      FAIL() << "the wrong kind of error";
    } catch (const Error& error) {
      EXPECT_THAT(error.what(),
                  ::testing::HasSubstr("the logit of token " + std::to_string(at) + " is nan"));
    }
  }
}

TEST(SampleErrorTest, RefusesRulesThatCannotBe) {
  std::vector<float> logits(10, 0.0f);
  EXPECT_THROW(sample_from(logits, {.temperature = -1}), ConfigError);
  EXPECT_THROW(sample_from(logits, {.temperature = std::nanf("")}), ConfigError);
  EXPECT_THROW(sample_from(logits, {.top_k = -1}), ConfigError);
  EXPECT_THROW(sample_from(logits, {.top_p = 1.5f}), ConfigError);
  EXPECT_THROW(sample_from(logits, {.min_p = -0.1f}), ConfigError);
  std::vector<float> empty;
  EXPECT_THROW(sample_from(empty, {}), ConfigError);
}

}  // namespace
}  // namespace tutti
