#include "kernels/rmsnorm.hpp"

#include <gtest/gtest.h>

#include "kernels/error.hpp"
#include "tests/kernels/kernel_fixture.hpp"

namespace tutti {
namespace {

using testing::host_exec;
using testing::random_floats;
using testing::view_of;

struct Case {
  int tokens;
  int dim;
  int threads;
};

class RmsnormTest : public ::testing::TestWithParam<Case> {
 protected:
  // The formula in double precision, for one row.
  static std::vector<double> reference(const float* x, const std::vector<float>& weight,
                                       double eps) {
    double sum = 0;
    for (std::size_t i = 0; i < weight.size(); ++i) {
      sum += double{x[i]} * x[i];
    }
    std::vector<double> y;
    for (std::size_t i = 0; i < weight.size(); ++i) {
      y.push_back(x[i] / std::sqrt(sum / static_cast<double>(weight.size()) + eps) * weight[i]);
    }
    return y;
  }

  // All terms of the sum are positive, so it is right to dim / lanes roundings; the rest is a few.
  static void expect_rows(const Case& c, const std::vector<float>& x,
                          const std::vector<float>& weight, const std::vector<float>& y) {
    for (int t = 0; t < c.tokens; ++t) {
      const std::vector<double> wanted =
          reference(&x[static_cast<std::size_t>(t * c.dim)], weight, 1e-5);
      for (int i = 0; i < c.dim; ++i) {
        const double tolerance = (c.dim / 16.0 + 8) * 0x1p-24 * std::abs(wanted[std::size_t(i)]);
        ASSERT_NEAR(y[static_cast<std::size_t>(t * c.dim + i)], wanted[std::size_t(i)],
                    tolerance + 1e-30)
            << t << ", " << i;
      }
    }
  }
};

TEST_P(RmsnormTest, AgreesWithTheFormula) {
  const Case c = GetParam();
  std::vector<float> x = random_floats(c.tokens * c.dim, 1);
  std::vector<float> weight = random_floats(c.dim, 2);
  std::vector<float> y(x.size());
  rmsnorm(host_exec(c.threads), {.x = view_of(x, {c.tokens, c.dim}),
                                 .weight = view_of(weight, {c.dim}),
                                 .y = view_of(y, {c.tokens, c.dim})});
  expect_rows(c, x, weight, y);

  std::vector<float> in_place = x;
  rmsnorm(host_exec(c.threads), {.x = view_of(in_place, {c.tokens, c.dim}),
                                 .weight = view_of(weight, {c.dim}),
                                 .y = view_of(in_place, {c.tokens, c.dim})});
  EXPECT_EQ(in_place, y);
}

TEST_P(RmsnormTest, AddsTheResidualFirst) {
  const Case c = GetParam();
  std::vector<float> x = random_floats(c.tokens * c.dim, 3);
  std::vector<float> residual = random_floats(c.tokens * c.dim, 4);
  std::vector<float> weight = random_floats(c.dim, 5);
  std::vector<float> sum(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    sum[i] = x[i] + residual[i];
  }
  add_rmsnorm(host_exec(c.threads), {.x = view_of(x, {c.tokens, c.dim}),
                                     .residual = view_of(residual, {c.tokens, c.dim}),
                                     .weight = view_of(weight, {c.dim}),
                                     .y = view_of(x, {c.tokens, c.dim})});
  EXPECT_EQ(residual, sum);
  expect_rows(c, sum, weight, x);
}

INSTANTIATE_TEST_SUITE_P(Shapes, RmsnormTest,
                         ::testing::Values(Case{1, 576, 1}, Case{3, 64, 1}, Case{200, 576, 2},
                                           Case{5, 77, 2}, Case{2, 1, 1}, Case{1, 4096, 2},
                                           Case{0, 16, 1}));

TEST(RmsnormErrorTest, NamesAWeightOfTheWrongLength) {
  std::vector<float> x(32);
  std::vector<float> weight(15);
  EXPECT_THROW(rmsnorm(host_exec(1), {.x = view_of(x, {2, 16}),
                                      .weight = view_of(weight, {15}),
                                      .y = view_of(x, {2, 16})}),
               ConfigError);
}

}  // namespace
}  // namespace tutti
