#include "kernels/moe_route.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "kernels/error.hpp"
#include "tests/kernels/moe_batch.hpp"

namespace tutti {
namespace {

using testing::host_exec;
using testing::view_of;

struct Case {
  int tokens;
  int experts;
  int top_k;
  bool renormalise;
};

class MoeRouteTest : public ::testing::TestWithParam<Case> {};

TEST_P(MoeRouteTest, TakesTheLargestOfTheSoftmax) {
  const Case c = GetParam();
  std::vector<float> logits = testing::random_floats(c.tokens * c.experts, 1);
  for (float& logit : logits) {
    logit *= 6;
  }
  std::vector<std::int32_t> ids[2];
  std::vector<float> weights[2];
  for (const int threads : {1, 2}) {
    ids[threads - 1].resize(std::size_t(c.tokens * c.top_k));
    weights[threads - 1].resize(std::size_t(c.tokens * c.top_k));
    moe_route(host_exec(threads), {.logits = view_of(logits, {c.tokens, c.experts}),
                                   .renormalise = c.renormalise,
                                   .ids = view_of(ids[threads - 1], {c.tokens, c.top_k}),
                                   .weights = view_of(weights[threads - 1], {c.tokens, c.top_k})});
  }
  EXPECT_EQ(ids[0], ids[1]);
  EXPECT_EQ(weights[0], weights[1]);
  for (int t = 0; t < c.tokens; ++t) {
    const float* row = &logits[std::size_t(t * c.experts)];
    std::vector<int> sorted(std::size_t(c.experts));
    std::iota(sorted.begin(), sorted.end(), 0);
    std::stable_sort(sorted.begin(), sorted.end(), [&](int a, int b) { return row[a] > row[b]; });
    double total = 0;
    for (int j = 0; j < (c.renormalise ? c.top_k : c.experts); ++j) {
      total += std::exp(double{row[sorted[std::size_t(j)]]});
    }
    for (int j = 0; j < c.top_k; ++j) {
      const std::size_t at = std::size_t(t * c.top_k + j);
      ASSERT_EQ(ids[0][at], sorted[std::size_t(j)]);
      const double wanted = std::exp(double{row[sorted[std::size_t(j)]]}) / total;
      // A difference of logits below 12, an exponential, at most 512 additions, two quotients.
      ASSERT_NEAR(weights[0][at], wanted, (c.experts + 24) * 0x1p-24 * wanted);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, MoeRouteTest,
                         ::testing::Values(Case{1, 8, 2, true}, Case{40, 128, 8, true},
                                           Case{70, 60, 4, false}, Case{3, 512, 16, true},
                                           Case{2, 3, 3, false}, Case{0, 8, 2, true}));

TEST(MoeRouteTest, PrefersLowNumbersAndSparesPadding) {
  std::vector<float> logits = {1, 2, 2, 2, 3, 3, 3, 3};
  std::vector<std::int32_t> slots = {5, -1};
  std::vector<std::int32_t> ids(4);
  std::vector<float> weights(4, 9.0f);
  moe_route(host_exec(1), {.logits = view_of(logits, {2, 4}),
                           .slots = view_of(slots, {2}),
                           .ids = view_of(ids, {2, 2}),
                           .weights = view_of(weights, {2, 2})});
  EXPECT_EQ(ids, (std::vector<std::int32_t>{1, 2, -1, -1}));
  EXPECT_EQ(weights, (std::vector<float>{0.5f, 0.5f, 0, 0}));
}

TEST(MoeRouteTest, RefusesMoreThanThereAre) {
  std::vector<float> logits(4), weights(5);
  std::vector<std::int32_t> ids(5);
  EXPECT_THROW(moe_route(host_exec(1), {.logits = view_of(logits, {1, 4}),
                                        .ids = view_of(ids, {1, 5}),
                                        .weights = view_of(weights, {1, 5})}),
               ConfigError);
}

TEST(MoeGroupTest, ListsEachPairOfItsExpertsOnce) {
  for (const auto& [tokens, all, top_k, first, experts] : {std::tuple{1, 8, 2, 0, 8},
                                                           {40, 128, 8, 32, 50},
                                                           {300, 5, 3, 1, 2},
                                                           {9, 8, 2, 7, 1},
                                                           {0, 8, 2, 0, 8},
                                                           {4, 8, 2, 8, 0}}) {
    testing::MoeBatch batch(tokens, all, top_k, first, experts);
    std::vector<std::int32_t> order;
    int active = 0;
    int tiles = 0;
    for (int e = 0; e < experts; ++e) {
      EXPECT_EQ(batch.begin[std::size_t(e)], std::int32_t(order.size()));
      EXPECT_EQ(batch.tiles[std::size_t(e)], tiles);
      const std::size_t before = order.size();
      for (std::size_t p = 0; p < batch.ids.size(); ++p) {
        if (batch.expert_of(p) == e) {
          order.push_back(std::int32_t(p));
        }
      }
      tiles += int(order.size() - before + kExpertTile - 1) / kExpertTile;
      if (order.size() > before) {
        EXPECT_EQ(batch.active[std::size_t(++active)], e);
      }
    }
    EXPECT_EQ(batch.begin.back(), std::int32_t(order.size()));
    EXPECT_EQ(batch.tiles.back(), tiles);
    EXPECT_EQ(batch.active[0], active);
    EXPECT_TRUE(std::equal(order.begin(), order.end(), batch.order.begin()));
  }
}

TEST(MoeRouteAndGroupTest, GroupsWhatItRouted) {
  constexpr int kTokens = 6;
  std::vector<float> logits = testing::random_floats(kTokens * 8, 1);
  std::vector<std::int32_t> ids[2];
  std::vector<float> weights[2];
  testing::MoeBatch batch(kTokens, 8, 2, 3, 4);
  testing::MoeBatch wanted = batch;
  for (const int apart : {0, 1}) {
    ids[apart].resize(2 * kTokens);
    weights[apart].resize(2 * kTokens);
    const MoeRouteArgs args{.logits = view_of(logits, {kTokens, 8}),
                            .ids = view_of(ids[apart], {kTokens, 2}),
                            .weights = view_of(weights[apart], {kTokens, 2})};
    if (apart == 0) {
      moe_route_and_group(host_exec(1), args, 3, batch.groups());
    } else {
      moe_route(host_exec(1), args);
    }
  }
  wanted.ids = ids[1];
  wanted.group();
  EXPECT_EQ(ids[0], ids[1]);
  EXPECT_EQ(weights[0], weights[1]);
  EXPECT_EQ(batch.begin, wanted.begin);
  EXPECT_TRUE(std::equal(wanted.order.begin(), wanted.order.begin() + wanted.begin.back(),
                         batch.order.begin()));
}

}  // namespace
}  // namespace tutti
