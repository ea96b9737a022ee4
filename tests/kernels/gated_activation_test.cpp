#include "kernels/gated_activation.hpp"

#include <gtest/gtest.h>

#include "kernels/error.hpp"
#include "tests/kernels/activation_formula.hpp"
#include "tests/kernels/kernel_fixture.hpp"

namespace tutti {
namespace {

using testing::host_exec;
using testing::random_floats;
using testing::view_of;

struct Case {
  int tokens;
  int columns;
  int threads;
  float range;
  Activation kind = Activation::silu;
};

class GatedActivationTest : public ::testing::TestWithParam<Case> {};

TEST_P(GatedActivationTest, AgreesWithTheFormula) {
  const Case c = GetParam();
  std::vector<float> gate_up = random_floats(c.tokens * c.columns * 2, 1);
  for (float& value : gate_up) {
    value *= c.range;
  }
  std::vector<float> y(static_cast<std::size_t>(c.tokens * c.columns));
  gated_activation(host_exec(c.threads), {.gate_up = view_of(gate_up, {c.tokens, 2 * c.columns}),
                                          .kind = c.kind,
                                          .y = view_of(y, {c.tokens, c.columns})});
  for (int t = 0; t < c.tokens; ++t) {
    for (int i = 0; i < c.columns; ++i) {
      const double g = gate_up[static_cast<std::size_t>(t * 2 * c.columns + i)];
      const double u = gate_up[static_cast<std::size_t>(t * 2 * c.columns + c.columns + i)];
      const double wanted = testing::activated(c.kind, g) * u;
      // e^x to 2 ulp, a sum, a quotient, a product; below -87 the result is 0 to 1e-35.
      ASSERT_NEAR(y[static_cast<std::size_t>(t * c.columns + i)], wanted,
                  testing::activation_tolerance(c.kind, g, wanted))
          << "g " << g << ", u " << u;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, GatedActivationTest,
                         ::testing::Values(Case{1, 1536, 1, 5}, Case{40, 1536, 2, 20},
                                           Case{3, 77, 2, 1}, Case{1, 3, 1, 1e-3f},
                                           Case{4, 999, 1, 200}, Case{0, 8, 1, 1},
                                           Case{40, 999, 2, 5, Activation::gelu_tanh},
                                           Case{3, 77, 1, 5, Activation::gelu_erf},
                                           Case{3, 77, 1, 5, Activation::relu}));

TEST(GatedActivationTest, LimitsAreExact) {
  const float inf = std::numeric_limits<float>::infinity();
  std::vector<float> gate_up = {0.0f, 1000.0f, -1000.0f, inf, std::nanf(""), 2, 2, 2, 2, 2};
  std::vector<float> y(5);
  gated_activation(host_exec(1), {.gate_up = view_of(gate_up, {1, 10}), .y = view_of(y, {1, 5})});
  EXPECT_EQ(y[0], 0.0f);
  EXPECT_EQ(y[1], 2000.0f);
  EXPECT_NEAR(y[2], 0.0f, 1e-33);
  EXPECT_EQ(y[3], inf);
  EXPECT_TRUE(std::isnan(y[4]));
}

TEST(GatedActivationTest, RefusesAGateWithoutItsUp) {
  std::vector<float> gate_up(12);
  std::vector<float> y(12);
  EXPECT_THROW(gated_activation(host_exec(1),
                                {.gate_up = view_of(gate_up, {2, 6}), .y = view_of(y, {2, 6})}),
               ConfigError);
}

}  // namespace
}  // namespace tutti
