#include "kernels/gemm.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/error.hpp"
#include "tests/kernels/kernel_fixture.hpp"

namespace tutti {
namespace {

using testing::host_exec;
using testing::random_floats;
using testing::RandomMatrix;
using testing::view_of;

struct Case {
  DType dtype;
  int tokens;
  int in;
  int out;
  int threads;
  bool bias;
};

std::ostream& operator<<(std::ostream& os, const Case& c) {
  return os << name_of(c.dtype) << " tokens " << c.tokens << " in " << c.in << " out " << c.out
            << " threads " << c.threads;
}

// gemm with as much scratch as it wants.
std::vector<float> product(const Weight& weight, std::vector<float>& x, std::vector<float>& bias,
                           int tokens, int threads) {
  std::vector<std::byte> scratch(gemm_scratch_bytes(weight.in(), threads));
  Exec exec = host_exec(threads);
  exec.scratch = {.data = scratch.data(), .bytes = scratch.size()};
  std::vector<float> y(static_cast<std::size_t>(tokens * weight.out()), -3.0f);
  gemm(exec, {.x = view_of(x, {tokens, weight.in()}),
              .weight = weight,
              .bias = bias.empty() ? TensorView() : view_of(bias, {weight.out()}),
              .y = view_of(y, {tokens, weight.out()})});
  return y;
}

class GemmTest : public ::testing::TestWithParam<Case> {};

TEST_P(GemmTest, AgreesWithADoublePrecisionSum) {
  const Case c = GetParam();
  RandomMatrix weight(c.dtype, c.out, c.in, 1);
  std::vector<float> x = random_floats(c.tokens * c.in, 2);
  std::vector<float> bias = random_floats(c.bias ? c.out : 0, 3);
  const std::vector<float> y = product(weight.weight, x, bias, c.tokens, c.threads);
  // A sum of n products in f32, in any order: at most n roundings of 2^-24 of the sum of the
  // magnitudes; in practice about sqrt(n). The bound here is n / 8 + 4.
  for (int t = 0; t < c.tokens; ++t) {
    for (int o = 0; o < c.out; ++o) {
      double wanted = c.bias ? bias[std::size_t(o)] : 0.0;
      double magnitude = std::abs(wanted);
      for (int i = 0; i < c.in; ++i) {
        const double term = double{x[std::size_t(t * c.in + i)]} * weight.at(o, i);
        wanted += term;
        magnitude += std::abs(term);
      }
      ASSERT_NEAR(y[std::size_t(t * c.out + o)], wanted, (c.in / 8.0 + 4) * 0x1p-24 * magnitude)
          << "token " << t << ", row " << o;
    }
  }
}

// The bits of an output element depend on its own row and token alone.
TEST_P(GemmTest, IsTheSameOnAnyThreadCountAndForAnyPartOfTheRows) {
  const Case c = GetParam();
  RandomMatrix weight(c.dtype, c.out, c.in, 1);
  std::vector<float> x = random_floats(c.tokens * c.in, 2);
  std::vector<float> none;
  const std::vector<float> whole = product(weight.weight, x, none, c.tokens, 1);
  EXPECT_EQ(product(weight.weight, x, none, c.tokens, 3), whole);
  const Range part = {c.out / 3, c.out};
  const std::vector<float> y =
      product({weight.weight.matrix.row_slice(part)}, x, none, c.tokens, 2);
  for (int t = 0; t < c.tokens; ++t) {
    for (std::int64_t o = part.begin; o < part.end; ++o) {
      ASSERT_EQ(y[std::size_t(t * part.size() + o - part.begin)], whole[std::size_t(t * c.out + o)])
          << "token " << t << ", row " << o;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    FewTokens, GemmTest,
    ::testing::Values(Case{DType::f32, 1, 576, 61, 2, true},
                      Case{DType::bf16, 1, 576, 960, 2, false},
                      Case{DType::f16, 1, 1536, 576, 2, true},
                      Case{DType::bf16, 1, 77, 13, 1, true}, Case{DType::f16, 2, 100, 31, 2, false},
                      Case{DType::bf16, 3, 576, 64, 2, true}, Case{DType::f32, 5, 33, 7, 1, false},
                      Case{DType::bf16, 8, 576, 192, 2, true}, Case{DType::f32, 1, 5, 1, 4, true}));
INSTANTIATE_TEST_SUITE_P(ManyTokens, GemmTest,
                         ::testing::Values(Case{DType::f32, 40, 576, 160, 2, true},
                                           Case{DType::bf16, 65, 576, 333, 2, true},
                                           Case{DType::f16, 33, 100, 700, 2, false},
                                           Case{DType::bf16, 130, 77, 45, 1, true},
                                           Case{DType::f16, 17, 1536, 66, 2, true},
                                           Case{DType::bf16, 24, 576, 1100, 2, false},
                                           Case{DType::f32, 100, 5, 3, 4, true}));

TEST(GemmTest, AFewTokensAreTheSameAloneAndTogether) {
  RandomMatrix weight(DType::bf16, 100, 200, 1);
  std::vector<float> x = random_floats(7 * 200, 2);
  std::vector<float> none;
  const std::vector<float> together = product(weight.weight, x, none, 7, 1);
  for (std::size_t t = 0; t < 7; ++t) {
    std::vector<float> one(x.begin() + std::ptrdiff_t(t * 200),
                           x.begin() + std::ptrdiff_t(t * 200 + 200));
    const std::vector<float> alone = product(weight.weight, one, none, 1, 1);
    EXPECT_TRUE(std::equal(alone.begin(), alone.end(), together.begin() + std::ptrdiff_t(t * 100)));
  }
}

TEST(GemmTest, TakesStridedRows) {
  for (int tokens : {2, 50}) {
    RandomMatrix weight(DType::bf16, 40, 64, 1);
    std::vector<float> wide = random_floats(tokens * 100, 2);
    std::vector<float> x;
    for (int t = 0; t < tokens; ++t) {
      const auto row = wide.begin() + t * 100 + 20;
      x.insert(x.end(), row, row + 64);
    }
    std::vector<float> none;
    const std::vector<float> wanted = product(weight.weight, x, none, tokens, 1);
    std::vector<std::byte> scratch(gemm_scratch_bytes(64, 1));
    Exec exec = host_exec(1);
    exec.scratch = {.data = scratch.data(), .bytes = scratch.size()};
    std::vector<float> y(std::size_t(tokens * 48), 9.0f);
    gemm(exec, {.x = view_of(wide, {tokens, 100}).column_slice({20, 84}),
                .weight = weight.weight,
                .y = view_of(y, {tokens, 48}).column_slice({4, 44})});
    for (int t = 0; t < tokens; ++t) {
      EXPECT_EQ(y[std::size_t(t * 48 + 3)], 9.0f);
      EXPECT_EQ(y[std::size_t(t * 48 + 44)], 9.0f);
      for (int o = 0; o < 40; ++o) {
        ASSERT_EQ(y[std::size_t(t * 48 + 4 + o)], wanted[std::size_t(t * 40 + o)]);
      }
    }
  }
}

TEST(GemmErrorTest, NamesTheScratchThatManyTokensWant) {
  RandomMatrix weight(DType::bf16, 64, 64, 1);
  std::vector<float> x(100 * 64);
  std::vector<float> y(100 * 64);
  try {
    gemm(host_exec(2),
         {.x = view_of(x, {100, 64}), .weight = weight.weight, .y = view_of(y, {100, 64})});
    FAIL() << "no error";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("exec.scratch holds 0 bytes, wanted "));
  }
}

TEST(GemmErrorTest, NamesShapesThatDisagree) {
  RandomMatrix weight(DType::bf16, 64, 32, 1);
  std::vector<float> x(64);
  std::vector<float> y(64);
  try {
    gemm(host_exec(1),
         {.x = view_of(x, {1, 64}), .weight = weight.weight, .y = view_of(y, {1, 64})});
    FAIL() << "no error";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("the weight is bf16 [64, 32], wanted f32, f16 "
                                                   "or bf16 [*, 64]"));
  }
}

}  // namespace
}  // namespace tutti
