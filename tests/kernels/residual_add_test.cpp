#include "kernels/residual_add.hpp"

#include <gtest/gtest.h>

#include "kernels/error.hpp"
#include "tests/kernels/kernel_fixture.hpp"

namespace tutti {
namespace {

using testing::host_exec;
using testing::random_floats;
using testing::view_of;

double factor_of(const float* x, int dim) {
  double mean = 0;
  for (int i = 0; i < dim; ++i) {
    mean += double{x[i]} * x[i] / dim;
  }
  return 1 / std::sqrt(mean + double{1e-5f});
}

TEST(ResidualAddTest, AddsAScaledRow) {
  for (const auto& [tokens, dim] : {std::pair{1, 576}, {40, 1000}, {3, 5}, {0, 8}}) {
    std::vector<float> x = random_floats(tokens * dim, 1);
    std::vector<float> residual = random_floats(tokens * dim, 2);
    const std::vector<float> before = residual;
    std::vector<float> y(x.size());
    residual_add(host_exec(2), {.x = view_of(x, {tokens, dim}),
                                .scale = 0.22f,
                                .residual = view_of(residual, {tokens, dim}),
                                .y = view_of(y, {tokens, dim})});
    EXPECT_EQ(y, residual);
    for (std::size_t i = 0; i < x.size(); ++i) {
      ASSERT_NEAR(residual[i], before[i] + double{0.22f} * x[i], 3 * 0x1p-24);
    }
  }
}

TEST(ResidualAddTest, NormsWhatItAddsAndWhatComesOfIt) {
  for (const auto& [tokens, dim] : {std::pair{1, 576}, {40, 1000}, {3, 77}, {2, 5}}) {
    for (const bool next : {true, false}) {
      std::vector<float> x = random_floats(tokens * dim, 1);
      std::vector<float> post = random_floats(dim, 3);
      std::vector<float> weight = random_floats(dim, 4);
      const std::vector<float> before = random_floats(tokens * dim, 2);
      std::vector<float> residual;
      std::vector<float> first;
      for (const int threads : {1, 2}) {
        residual = before;
        std::vector<float> y(x.size());
        add_normed(host_exec(threads), {.x = view_of(x, {tokens, dim}),
                                        .post_weight = view_of(post, {dim}),
                                        .residual = view_of(residual, {tokens, dim}),
                                        .weight = next ? view_of(weight, {dim}) : TensorView(),
                                        .y = view_of(y, {tokens, dim})});
        EXPECT_TRUE(first.empty() || first == y);
        first = y;
      }
      for (int t = 0; t < tokens; ++t) {
        const std::size_t row = std::size_t(t * dim);
        const double factor = factor_of(&x[row], dim);
        const double next_factor = factor_of(&residual[row], dim);
        for (std::size_t i = 0; i < std::size_t(dim); ++i) {
          // Normalised elements are below 3; sums of squares have at most dim / 4 roundings.
          const double tolerance = 0x1p-24 * (dim / 4 + 32);
          ASSERT_NEAR(residual[row + i], before[row + i] + x[row + i] * factor * post[i],
                      tolerance);
          ASSERT_NEAR(
              first[row + i],
              next ? residual[row + i] * next_factor * weight[i] : double{residual[row + i]},
              tolerance);
        }
      }
    }
  }
}

TEST(ResidualAddTest, RefusesAResidualOfAnotherShape) {
  std::vector<float> x(8), residual(6);
  EXPECT_THROW(
      residual_add(host_exec(1), {.x = view_of(x, {2, 4}), .residual = view_of(residual, {2, 3})}),
      ConfigError);
}

}  // namespace
}  // namespace tutti
