#include "kernels/layernorm.hpp"

#include <gtest/gtest.h>

#include "kernels/error.hpp"
#include "tests/kernels/kernel_fixture.hpp"

namespace tutti {
namespace {

using testing::host_exec;
using testing::random_floats;
using testing::view_of;

// The definition in double precision.
std::vector<double> normed(const float* x, const std::vector<float>& weight,
                           const std::vector<float>& bias, float eps) {
  const std::size_t dim = weight.size();
  double mean = 0;
  double variance = 0;
  for (std::size_t i = 0; i < dim; ++i) {
    mean += double{x[i]} / double(dim);
  }
  for (std::size_t i = 0; i < dim; ++i) {
    variance += std::pow(x[i] - mean, 2) / double(dim);
  }
  std::vector<double> y;
  for (std::size_t i = 0; i < dim; ++i) {
    y.push_back((x[i] - mean) / std::sqrt(variance + double{eps}) * weight[i] +
                (bias.empty() ? 0.0 : double{bias[i]}));
  }
  return y;
}

struct Case {
  int tokens;
  int dim;
  float offset;  // of all elements: variance must not be a difference of squares
  bool bias;
  bool add;
};

class LayernormTest : public ::testing::TestWithParam<Case> {};

TEST_P(LayernormTest, AgreesWithTheDefinition) {
  const Case c = GetParam();
  std::vector<float> x = random_floats(c.tokens * c.dim, 1);
  std::vector<float> residual = random_floats(c.tokens * c.dim, 2);
  for (float& value : residual) {
    value += c.offset;
  }
  std::vector<float> weight = random_floats(c.dim, 3);
  std::vector<float> bias = random_floats(c.bias ? c.dim : 0, 4);
  const std::vector<float> before = residual;
  std::vector<float> first;
  for (const int threads : {1, 2}) {
    residual = before;
    std::vector<float> y(x.size());
    const TensorView biases = c.bias ? view_of(bias, {c.dim}) : TensorView();
    if (c.add) {
      add_layernorm(host_exec(threads), {.x = view_of(x, {c.tokens, c.dim}),
                                         .residual = view_of(residual, {c.tokens, c.dim}),
                                         .weight = view_of(weight, {c.dim}),
                                         .bias = biases,
                                         .y = view_of(y, {c.tokens, c.dim})});
    } else {
      layernorm(host_exec(threads), {.x = view_of(residual, {c.tokens, c.dim}),
                                     .weight = view_of(weight, {c.dim}),
                                     .bias = biases,
                                     .y = view_of(y, {c.tokens, c.dim})});
    }
    EXPECT_TRUE(first.empty() || first == y);
    first = y;
  }
  for (int t = 0; t < c.tokens; ++t) {
    const std::size_t row = std::size_t(t * c.dim);
    for (std::size_t i = row; i < row + std::size_t(c.dim); ++i) {
      ASSERT_EQ(residual[i], c.add ? before[i] + x[i] : before[i]);
    }
    const std::vector<double> wanted = normed(&residual[row], weight, bias, 1e-5f);
    for (int i = 0; i < c.dim; ++i) {
      // The mean to dim / 4 roundings of the offset, in units of a deviation above 0.5; a few more.
      const double tolerance = 0x1p-24 * (2 * (c.offset + 2) * (c.dim / 4 + 8) + 32);
      ASSERT_NEAR(first[row + std::size_t(i)], wanted[std::size_t(i)], tolerance);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, LayernormTest,
                         ::testing::Values(Case{40, 768, 0, true, false},
                                           Case{3, 576, 0, false, true},
                                           Case{5, 77, 100, true, true}, Case{2, 3, 0, true, false},
                                           Case{0, 8, 0, false, false}));

TEST(LayernormTest, RefusesABiasOfAnotherLength) {
  std::vector<float> x(8), weight(4), bias(3), y(8);
  EXPECT_THROW(layernorm(host_exec(1), {.x = view_of(x, {2, 4}),
                                        .weight = view_of(weight, {4}),
                                        .bias = view_of(bias, {3}),
                                        .y = view_of(y, {2, 4})}),
               ConfigError);
}

}  // namespace
}  // namespace tutti
