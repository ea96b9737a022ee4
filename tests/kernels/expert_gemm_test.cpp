#include "kernels/expert_gemm.hpp"

#include <gtest/gtest.h>

#include "kernels/error.hpp"
#include "kernels/gemm.hpp"
#include "tests/kernels/activation_formula.hpp"
#include "tests/kernels/moe_batch.hpp"

namespace tutti {
namespace {

using testing::host_exec;
using testing::random_floats;
using testing::RandomMatrix;
using testing::view_of;

struct Case {
  DType dtype;
  int tokens;
  bool gated;
  bool pair_rows;  // x has a row for each pair
  Activation kind;
};

class ExpertGemmTest : public ::testing::TestWithParam<Case> {
 protected:
  static constexpr int kIn = 45;
  static constexpr int kColumns = 13;
  static constexpr int kExperts = 5;

  static std::vector<float> run(const Case& c, testing::MoeBatch& batch, RandomMatrix& weight,
                                std::vector<float>& x, int threads) {
    std::vector<float> y(std::size_t(batch.pairs() * kColumns), -3.0f);
    Exec exec = host_exec(threads);
    std::vector<std::byte> scratch(gemm_scratch_bytes(kIn, threads));
    exec.scratch = {.data = scratch.data(), .bytes = scratch.size()};
    TensorView experts = weight.weight.matrix;
    experts = {experts.data, c.dtype, Place::host, {kExperts, experts.shape[0] / kExperts, kIn}};
    expert_gemm(exec, {.x = view_of(x, {c.pair_rows ? batch.pairs() : batch.tokens, kIn}),
                       .weights = experts,
                       .groups = batch.groups(),
                       .gated = c.gated,
                       .kind = c.kind,
                       .y = view_of(y, {batch.pairs(), kColumns})});
    return y;
  }
};

TEST_P(ExpertGemmTest, MultipliesEachPairWithItsExpert) {
  const Case c = GetParam();
  testing::MoeBatch batch(c.tokens, 8, 3, 2, kExperts);
  const int rows = c.gated ? 2 * kColumns : kColumns;
  RandomMatrix weight(c.dtype, kExperts * rows, kIn, 1);
  std::vector<float> x = random_floats((c.pair_rows ? batch.pairs() : c.tokens) * kIn, 2);
  const std::vector<float> y = run(c, batch, weight, x, 1);
  EXPECT_EQ(y, run(c, batch, weight, x, 2));
  for (std::size_t p = 0; p < std::size_t(batch.pairs()); ++p) {
    const std::int64_t expert = batch.expert_of(p);
    const float* row = &x[(c.pair_rows ? p : p / 3) * kIn];
    for (int column = 0; column < kColumns; ++column) {
      const float found = y[p * kColumns + std::size_t(column)];
      if (expert < 0) {
        ASSERT_EQ(found, -3.0f) << "a pair of another rank was written";
        continue;
      }
      double gate = 0;
      double up = 0;
      for (int i = 0; i < kIn; ++i) {
        gate += double{row[i]} * weight.at(expert * rows + column, i);
        up += c.gated ? double{row[i]} * weight.at(expert * rows + kColumns + column, i) : 0.0;
      }
      // 45 products below 1; slopes of activations below 1.2, gates and ups below 45.
      ASSERT_NEAR(found, c.gated ? testing::activated(c.kind, gate) * up : gate,
                  c.gated ? 5e-4 : 45 * 45 * 0x1p-24);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, ExpertGemmTest,
                         ::testing::Values(Case{DType::f32, 1, true, false, Activation::silu},
                                           Case{DType::bf16, 40, true, false, Activation::silu},
                                           Case{DType::f16, 7, true, true, Activation::gelu_tanh},
                                           Case{DType::bf16, 7, false, true, Activation::silu},
                                           Case{DType::bf16, 150, false, false, Activation::silu},
                                           Case{DType::f32, 0, false, false, Activation::silu}));

// A token has the same bits alone and among others.
TEST_F(ExpertGemmTest, DoesNotDependOnCompany) {
  const Case c{DType::bf16, 150, true, false, Activation::silu};
  testing::MoeBatch batch(c.tokens, 8, 3, 2, kExperts);
  RandomMatrix weight(c.dtype, kExperts * 2 * kColumns, kIn, 1);
  std::vector<float> x = random_floats(c.tokens * kIn, 2);
  const std::vector<float> all = run(c, batch, weight, x, 2);
  for (const int t : {0, 77, 149}) {
    testing::MoeBatch one(1, 8, 3, 2, kExperts);
    std::copy_n(batch.ids.begin() + 3 * t, 3, one.ids.begin());
    one.group();
    std::vector<float> row(x.begin() + t * kIn, x.begin() + (t + 1) * kIn);
    const std::vector<float> y = run(c, one, weight, row, 1);
    EXPECT_TRUE(std::equal(y.begin(), y.end(), all.begin() + 3 * t * kColumns)) << "token " << t;
  }
}

TEST_F(ExpertGemmTest, RefusesRowsThatFitNoPair) {
  testing::MoeBatch batch(4, 8, 2, 0, 8);
  std::vector<float> x(3 * 4), weights(8 * 2 * 4), y(8 * 2);
  EXPECT_THROW(expert_gemm(host_exec(1), {.x = view_of(x, {3, 4}),
                                          .weights = view_of(weights, {8, 2, 4}),
                                          .groups = batch.groups(),
                                          .y = view_of(y, {8, 2})}),
               ConfigError);
}

}  // namespace
}  // namespace tutti
