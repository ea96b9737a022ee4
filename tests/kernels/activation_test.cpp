#include "kernels/activation.hpp"

#include <gtest/gtest.h>

#include "kernels/error.hpp"
#include "tests/kernels/activation_formula.hpp"
#include "tests/kernels/kernel_fixture.hpp"

namespace tutti {
namespace {

using testing::host_exec;
using testing::view_of;

TEST(ActivationTest, AgreesWithTheFormula) {
  for (const Activation kind : testing::kActivations) {
    for (const auto& [tokens, columns, range] : {std::tuple{1, 1536, 5.0f},
                                                 {40, 1000, 20.0f},
                                                 {3, 77, 1.0f},
                                                 {1, 3, 1e-3f},
                                                 {4, 99, 200.0f}}) {
      std::vector<float> x = testing::random_floats(tokens * columns, 1);
      for (float& value : x) {
        value *= range;
      }
      std::vector<float> y = x;
      std::vector<float> again = x;
      activation(host_exec(1), {.x = view_of(y, {tokens, columns}), .kind = kind});
      activation(host_exec(2), {.x = view_of(again, {tokens, columns}), .kind = kind});
      EXPECT_EQ(y, again);
      for (std::size_t i = 0; i < x.size(); ++i) {
        const double wanted = testing::activated(kind, double{x[i]});
        ASSERT_NEAR(y[i], wanted, testing::activation_tolerance(kind, double{x[i]}, wanted))
            << "activation " << int(kind) << " of " << x[i];
      }
    }
  }
}

TEST(ActivationTest, LimitsAreExact) {
  const float inf = std::numeric_limits<float>::infinity();
  for (const Activation kind : testing::kActivations) {
    std::vector<float> x = {0.0f, 1000.0f, -1000.0f, inf, std::nanf("")};
    activation(host_exec(1), {.x = view_of(x, {1, 5}), .kind = kind});
    EXPECT_EQ(x[0], 0.0f);
    EXPECT_EQ(x[1], 1000.0f);
    EXPECT_NEAR(x[2], 0.0f, 1e-33);
    EXPECT_EQ(x[3], inf);
    EXPECT_TRUE(std::isnan(x[4]));
  }
}

TEST(ActivationTest, RefusesOtherTypes) {
  std::vector<std::int32_t> x(4);
  EXPECT_THROW(activation(host_exec(1), {.x = view_of(x, {2, 2})}), ConfigError);
}

}  // namespace
}  // namespace tutti
