#include "kernels/moe_combine.hpp"

#include <gtest/gtest.h>

#include "kernels/error.hpp"
#include "tests/kernels/moe_batch.hpp"

namespace tutti {
namespace {

using testing::host_exec;
using testing::random_floats;
using testing::view_of;

TEST(MoeCombineTest, WeighsItsExpertsAndTheSharedOne) {
  constexpr int kDim = 77;
  for (const int mode : {0, 1, 2}) {  // without a shared expert, with one, with its gate
    testing::MoeBatch batch(40, 16, 4, 3, 9);
    std::vector<float> x = random_floats(batch.pairs() * kDim, 1);
    for (std::size_t p = 0; p < batch.ids.size(); ++p) {
      if (batch.expert_of(p) < 0) {  // never written, never read
        std::fill_n(x.begin() + std::ptrdiff_t(p) * kDim, kDim, std::nanf(""));
      }
    }
    std::vector<float> weights = random_floats(batch.pairs(), 2);
    std::vector<float> shared = random_floats(40 * kDim, 3);
    std::vector<float> gate = random_floats(40, 4);
    std::vector<float> one(40 * kDim, -5.0f);
    std::vector<float> two = mode > 0 ? shared : one;  // y where the shared expert's rows lie
    const auto run = [&](int threads, std::vector<float>& y, std::vector<float>& s) {
      moe_combine(host_exec(threads),
                  {.x = view_of(x, {batch.pairs(), kDim}),
                   .ids = batch.ids_view(),
                   .weights = view_of(weights, {40, 4}),
                   .first = 3,
                   .experts = 9,
                   .shared = mode > 0 ? view_of(s, {40, kDim}) : TensorView(),
                   .shared_gate = mode > 1 ? view_of(gate, {40, 1}) : TensorView(),
                   .y = view_of(y, {40, kDim})});
    };
    run(1, one, shared);
    run(2, two, two);
    EXPECT_EQ(one, two);
    for (int t = 0; t < 40; ++t) {
      for (int i = 0; i < kDim; ++i) {
        double wanted = mode > 0 ? double{shared[std::size_t(t * kDim + i)]} : 0.0;
        wanted /= mode > 1 ? 1 + std::exp(-double{gate[std::size_t(t)]}) : 1.0;
        for (int j = 0; j < 4; ++j) {
          const std::size_t p = std::size_t(t * 4 + j);
          if (batch.expert_of(p) >= 0) {
            wanted += double{weights[p]} * x[p * kDim + std::size_t(i)];
          }
        }
        // Five terms below 1, each rounded, and as many sums.
        ASSERT_NEAR(one[std::size_t(t * kDim + i)], wanted, 30 * 0x1p-24);
      }
    }
  }
}

TEST(MoeCombineTest, RefusesRowsThatAreNotPairs) {
  testing::MoeBatch batch(4, 8, 2, 0, 8);
  std::vector<float> x(4 * 3), y(4 * 3), weights(8);
  EXPECT_THROW(moe_combine(host_exec(1), {.x = view_of(x, {4, 3}),
                                          .ids = batch.ids_view(),
                                          .weights = view_of(weights, {4, 2}),
                                          .experts = 8,
                                          .y = view_of(y, {4, 3})}),
               ConfigError);
}

TEST(MoeCombineTest, RefusesMoreExpertsThanATokenMayHave) {
  testing::MoeBatch batch(1, 32, kMostChosen + 1, 0, 32);
  std::vector<float> x(std::size_t(batch.pairs())), y(1), weights(x.size());
  EXPECT_THROW(moe_combine(host_exec(1), {.x = view_of(x, {batch.pairs(), 1}),
                                          .ids = batch.ids_view(),
                                          .weights = view_of(weights, {1, batch.pairs()}),
                                          .experts = 32,
                                          .y = view_of(y, {1, 1})}),
               ConfigError);
}

}  // namespace
}  // namespace tutti
