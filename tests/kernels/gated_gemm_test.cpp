#include "kernels/gated_gemm.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/error.hpp"
#include "kernels/gemm.hpp"
#include "tests/kernels/activation_formula.hpp"
#include "tests/kernels/kernel_fixture.hpp"

namespace tutti {
namespace {

using testing::host_exec;
using testing::random_floats;
using testing::RandomMatrix;
using testing::view_of;

TEST(GatedGemmTest, AgreesWithTheFormula) {
  for (const auto& [tokens, columns, in, kind, biased] :
       {std::tuple{1, 61, 96, Activation::silu, false},
        {3, 1, 7, Activation::silu, false},
        {40, 33, 64, Activation::silu, true},
        {40, 33, 64, Activation::gelu_tanh, false},
        {1, 61, 96, Activation::gelu_erf, true}}) {
    std::vector<float> bias = random_floats(2 * columns, 3);
    RandomMatrix weight(DType::bf16, 2 * columns, in, 1);
    std::vector<float> x = random_floats(tokens * in, 2);
    std::vector<float> gate_up(std::size_t(tokens * 2 * columns), -3.0f);
    std::vector<float> y(std::size_t(tokens * columns), -3.0f);
    Exec exec = host_exec(2);
    std::vector<std::byte> scratch(gemm_scratch_bytes(in, exec.threads));
    exec.scratch = {.data = scratch.data(), .bytes = scratch.size()};
    gated_gemm(exec, {.x = view_of(x, {tokens, in}),
                      .weight = weight.weight,
                      .bias = biased ? view_of(bias, {2 * columns}) : TensorView(),
                      .kind = kind,
                      .gate_up = view_of(gate_up, {tokens, 2 * columns}),
                      .y = view_of(y, {tokens, columns})});
    for (int t = 0; t < tokens; ++t) {
      for (int c = 0; c < columns; ++c) {
        double gate = biased ? bias[std::size_t(c)] : 0.0f;
        double up = biased ? bias[std::size_t(columns + c)] : 0.0f;
        for (int i = 0; i < in; ++i) {
          gate += double{x[std::size_t(t * in + i)]} * weight.at(c, i);
          up += double{x[std::size_t(t * in + i)]} * weight.at(columns + c, i);
        }
        // Sums of at most 96 products of numbers below 1: 96 roundings of 2^-24 of at most 96 at
        // worst, about 1e-5 of that; |silu'| and |gelu'| < 1.2, |gate| and |up| < 30 here.
        ASSERT_NEAR(y[std::size_t(t * columns + c)], testing::activated(kind, gate) * up, 3e-4)
            << "token " << t << ", column " << c << " of " << columns;
      }
    }
  }
}

TEST(GatedGemmTest, RefusesAGateWithoutItsUp) {
  RandomMatrix weight(DType::bf16, 7, 8, 1);
  std::vector<float> x(8);
  std::vector<float> gate_up(7);
  std::vector<float> y(3);
  try {
    gated_gemm(host_exec(1), {.x = view_of(x, {1, 8}),
                              .weight = weight.weight,
                              .gate_up = view_of(gate_up, {1, 7}),
                              .y = view_of(y, {1, 3})});
    FAIL() << "no error";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("the weight has 7 rows"));
  }
}

TEST(GatedGemmTest, NamesShapesThatDisagree) {
  RandomMatrix weight(DType::bf16, 8, 8, 1);
  std::vector<float> x(8);
  std::vector<float> gate_up(8);
  std::vector<float> y(8);
  try {
    gated_gemm(host_exec(1), {.x = view_of(x, {1, 8}),
                              .weight = weight.weight,
                              .gate_up = view_of(gate_up, {1, 8}),
                              .y = view_of(y, {1, 8})});
    FAIL() << "no error";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(),
                ::testing::HasSubstr("gated_gemm: y is f32 [1, 8], wanted f32 [1, 4]"));
  }
}

}  // namespace
}  // namespace tutti
