#include "kernels/qk_squares.hpp"

#include <gtest/gtest.h>

#include "kernels/error.hpp"
#include "tests/kernels/kernel_fixture.hpp"

namespace tutti {
namespace {

using testing::host_exec;
using testing::view_of;

TEST(QkSquaresTest, SumsTheSquaresOfItsHeads) {
  for (const int head_dim : {64, 7}) {
    constexpr int kTokens = 40;
    const int width = (5 + 2 * 3) * head_dim;
    std::vector<float> qkv = testing::random_floats(kTokens * width, 1);
    std::vector<float> one(kTokens * 2);
    std::vector<float> two = one;
    const auto run = [&](int threads, std::vector<float>& squares) {
      qk_squares(host_exec(threads), {.qkv = view_of(qkv, {kTokens, width}),
                                      .q_heads = 5,
                                      .kv_heads = 3,
                                      .head_dim = head_dim,
                                      .k_heads = {1, 3},
                                      .squares = view_of(squares, {kTokens, 2})});
    };
    run(1, one);
    run(2, two);
    EXPECT_EQ(one, two);
    for (int t = 0; t < kTokens; ++t) {
      double sums[2] = {};
      for (int i = 0; i < 8 * head_dim; ++i) {
        if (i / head_dim != 5) {  // the key head that another rank counts
          sums[i / head_dim > 5] += std::pow(double{qkv[std::size_t(t * width + i)]}, 2);
        }
      }
      // At most 5 * 64 / 4 additions in a lane.
      EXPECT_NEAR(one[std::size_t(2 * t)], sums[0], sums[0] * 84 * 0x1p-24);
      EXPECT_NEAR(one[std::size_t(2 * t + 1)], sums[1], sums[1] * 84 * 0x1p-24);
    }
  }
}

TEST(QkSquaresTest, RefusesHeadsThatAreNotThere) {
  std::vector<float> qkv(24);
  std::vector<float> squares(2);
  EXPECT_THROW(qk_squares(host_exec(1), {.qkv = view_of(qkv, {1, 24}),
                                         .q_heads = 1,
                                         .kv_heads = 1,
                                         .head_dim = 8,
                                         .k_heads = {0, 2},
                                         .squares = view_of(squares, {1, 2})}),
               ConfigError);
}

}  // namespace
}  // namespace tutti
