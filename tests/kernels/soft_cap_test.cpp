#include "kernels/soft_cap.hpp"

#include <gtest/gtest.h>

#include "kernels/error.hpp"
#include "tests/kernels/kernel_fixture.hpp"

namespace tutti {
namespace {

using testing::host_exec;
using testing::view_of;

TEST(SoftCapTest, AgreesWithTheFormula) {
  for (const auto& [cap, scale, range] : {std::tuple{30.0f, 1.0f, 100.0f},
                                          {30.0f, 0.5f, 1.0f},
                                          {0.0f, 0.125f, 50.0f},
                                          {5.0f, 1.0f, 1e6f},
                                          {50.0f, 1.0f, 1e-6f}}) {
    constexpr int kRows = 3;
    constexpr int kColumns = 9001;
    std::vector<float> x = testing::random_floats(kRows * kColumns, 1);
    for (float& value : x) {
      value *= range;
    }
    std::vector<float> one = x;
    std::vector<float> two = x;
    const auto run = [&](int threads, std::vector<float>& y) {
      soft_cap(host_exec(threads),
               {.x = view_of(y, {kRows, kColumns}), .scale = scale, .cap = cap});
    };
    run(1, one);
    run(2, two);
    EXPECT_EQ(one, two);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double v = double{x[i]} * double{scale};
      const double wanted = cap > 0 ? cap * std::tanh(v / cap) : v;
      // tanh to 3 ulp, a product, a quotient and a product.
      ASSERT_NEAR(one[i], wanted, 12 * 0x1p-24 * std::abs(wanted)) << "of " << x[i];
    }
  }
}

TEST(SoftCapTest, LimitsAreExact) {
  const float inf = std::numeric_limits<float>::infinity();
  std::vector<float> x = {0.0f, inf, -inf, std::nanf("")};
  soft_cap(host_exec(1), {.x = view_of(x, {1, 4}), .cap = 30});
  EXPECT_EQ(x[0], 0.0f);
  EXPECT_EQ(x[1], 30.0f);
  EXPECT_EQ(x[2], -30.0f);
  EXPECT_TRUE(std::isnan(x[3]));
}

TEST(SoftCapTest, RefusesACapBelowZero) {
  std::vector<float> x(4);
  EXPECT_THROW(soft_cap(host_exec(1), {.x = view_of(x, {1, 4}), .cap = -1}), ConfigError);
}

}  // namespace
}  // namespace tutti
