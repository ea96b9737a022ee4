// The device's gated product against the host's on what the device's type holds exactly.
#include <cmath>
#include <limits>

#include "kernels/device_ops.hpp"
#include "kernels/gated_gemm.hpp"
#include "tests/kernels/activation_formula.hpp"
#include "tests/kernels/kernel_fixture.hpp"
#include "tests/support/gpu_compare.hpp"

namespace tutti {
namespace {

using testing::floats_of;
using testing::GpuArray;
using testing::GpuTest;
using testing::random_floats;
using testing::rounded;
using testing::to_gpu;
using testing::token_counts;
using testing::unit_roundoff;

struct Case {
  DType dtype;
  std::int64_t columns;
  std::int64_t in;
};

std::ostream& operator<<(std::ostream& os, const Case& c) {
  return os << name_of(c.dtype) << " columns " << c.columns << " in " << c.in;
}

struct Reference {  // in double precision, with what the magnitudes add up to
  double gate = 0, up = 0, gate_size = 0, up_size = 0;
};

class GatedGemmCudaTest : public GpuTest {
 protected:
  static std::vector<float> run(const TensorView& x, const TensorView& weight,
                                const TensorView& bias = {}, Activation kind = Activation::silu) {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const auto size = std::size_t(x.rows() * weight.shape[0]);
    const GpuArray gate_up =
        to_gpu(device(), x.dtype, {x.rows(), weight.shape[0]}, std::vector<float>(size, nan));
    const GpuArray y = to_gpu(device(), x.dtype, {x.rows(), weight.shape[0] / 2},
                              std::vector<float>(size / 2, nan));
    gated_gemm(exec(), {.x = x,
                        .weight = {weight},
                        .bias = bias,
                        .kind = kind,
                        .gate_up = gate_up.view,
                        .y = y.view});
    device().synchronize();
    return floats_of(device(), y.view);
  }
};

class GatedGemmCudaShapeTest : public GatedGemmCudaTest,
                               public ::testing::WithParamInterface<Case> {};

TEST_P(GatedGemmCudaShapeTest, AgreesWithTheFormula) {
  const Case c = GetParam();
  constexpr std::int64_t kMost = 33;
  std::vector<float> w = random_floats(2 * c.columns * c.in, 1);
  std::vector<float> x = random_floats(kMost * c.in, 2);
  const float scale = 4.0f / std::sqrt(static_cast<float>(c.in));  // gates of a few units
  for (float& v : w) {
    v *= scale;
  }
  w = rounded(c.dtype, w);
  x = rounded(c.dtype, x);
  std::vector<Reference> wanted(std::size_t(kMost * c.columns));
  for (std::int64_t t = 0; t < kMost; ++t) {
    for (std::int64_t o = 0; o < c.columns; ++o) {
      Reference& r = wanted[std::size_t(t * c.columns + o)];
      const float* row = &x[std::size_t(t * c.in)];
      const float* gate = &w[std::size_t(o * c.in)];
      const float* up = &w[std::size_t((c.columns + o) * c.in)];
      for (std::int64_t i = 0; i < c.in; ++i) {
        r.gate += double{row[i]} * gate[i];
        r.up += double{row[i]} * up[i];
        r.gate_size += std::abs(double{row[i]} * gate[i]);
        r.up_size += std::abs(double{row[i]} * up[i]);
      }
    }
  }
  const GpuArray weight = to_gpu(device(), c.dtype, {2 * c.columns, c.in}, w);
  const GpuArray all = to_gpu(device(), c.dtype, {kMost, c.in}, x);
  const double roundoff = unit_roundoff(c.dtype);
  for (const std::int64_t tokens : token_counts({1, 2, 5, 8, 9, 16, 17, 33})) {
    const std::vector<float> y = run(all.view.row_slice({0, tokens}), weight.view);
    for (std::size_t i = 0; i < y.size(); ++i) {
      const Reference& r = wanted[i];
      // The sums' errors as for gemm; with many tokens both are rounded to the type on their way.
      const double sum = (double(c.in) / 8 + 16) * 0x1p-24;
      const double gate_error = sum * r.gate_size + roundoff * std::abs(r.gate);
      const double up_error = sum * r.up_size + roundoff * std::abs(r.up);
      const double silu = r.gate / (1 + std::exp(-r.gate));
      // |silu'| < 1.1; a few roundings in f32 and the one to the type, whose smallest numbers are
      // 2^-24 apart in f16.
      const double tolerance = 1.1 * gate_error * (std::abs(r.up) + up_error) +
                               std::abs(silu) * up_error +
                               (roundoff + 0x1p-20) * std::abs(silu * r.up) + 0x1p-24;
      ASSERT_NEAR(y[i], silu * r.up, tolerance)
          << c << ", " << tokens << " tokens: token " << i / std::size_t(c.columns) << ", column "
          << i % std::size_t(c.columns) << ", gate " << r.gate << ", up " << r.up;
    }
    EXPECT_EQ(run(all.view.row_slice({0, tokens}), weight.view), y) << c << ", again";
  }
}

std::vector<Case> shapes() {
  std::vector<Case> cases;
  for (const DType dtype : {DType::bf16, DType::f16, DType::f32}) {
    for (const auto& [columns, in] : std::vector<std::pair<int, int>>{
             {1, 8}, {7, 24}, {33, 100}, {192, 576}, {1536, 576}, {345, 1096}, {2300, 320}}) {
      cases.push_back({dtype, columns, in});
    }
  }
  cases.push_back({DType::bf16, 5504, 512});
  return cases;
}
INSTANTIATE_TEST_SUITE_P(Shapes, GatedGemmCudaShapeTest, ::testing::ValuesIn(shapes()));

// Every activation, with and without biases, for one kernel and for two.
TEST_F(GatedGemmCudaTest, TakesOtherGatesAndBiases) {
  constexpr std::int64_t kColumns = 192;
  constexpr std::int64_t kIn = 256;
  for (const DType dtype : {DType::bf16, DType::f16, DType::f32}) {
    std::vector<float> w = rounded(dtype, random_floats(2 * kColumns * kIn, 1));
    for (float& v : w) {
      v *= 0.25f;
    }
    std::vector<float> bias = random_floats(2 * kColumns, 3);
    const GpuArray weight = to_gpu(device(), dtype, {2 * kColumns, kIn}, w);
    const GpuArray biases = to_gpu(device(), DType::f32, {2 * kColumns}, bias);
    for (const std::int64_t tokens : token_counts({1, 9, 20})) {
      std::vector<float> x = rounded(dtype, random_floats(tokens * kIn, 2));
      const GpuArray rows = to_gpu(device(), dtype, {tokens, kIn}, x);
      for (const Activation kind : testing::kActivations) {
        for (const bool biased : {false, true}) {
          const std::vector<float> y =
              run(rows.view, weight.view, biased ? biases.view : TensorView(), kind);
          for (std::size_t i = 0; i < y.size(); ++i) {
            const std::size_t t = i / kColumns;
            const std::size_t c = i % kColumns;
            double gate = biased ? double{bias[c]} : 0.0;
            double up = biased ? double{bias[kColumns + c]} : 0.0;
            for (std::size_t k = 0; k < kIn; ++k) {
              gate += double{x[t * kIn + k]} * w[c * kIn + k];
              up += double{x[t * kIn + k]} * w[(kColumns + c) * kIn + k];
            }
            const double wanted = testing::activated(kind, gate) * up;
            // Sums of 256 products below 1/4 (64 in all, at most) to 48 roundings of f32; gate and
            // up rounded to the type up to twice, slopes below 1.2, y rounded once.
            const double u = unit_roundoff(dtype);
            const double sum = 48 * 0x1p-24 * 64;
            const double gate_error = sum + 2 * u * (std::abs(gate) + 1);
            const double up_error = sum + 2 * u * (std::abs(up) + 1);
            ASSERT_NEAR(y[i], wanted,
                        1.2 * gate_error * (std::abs(up) + up_error) + std::abs(gate) * up_error +
                            (u + 0x1p-18) * std::abs(wanted) + 0x1p-24)
                << name_of(dtype) << ", " << tokens << " tokens, activation " << int(kind)
                << ", bias " << biased << ", gate " << gate << ", up " << up;
          }
        }
      }
    }
  }
}

// Gate 0 gives 0, a gate far below gives 0, one far above gives itself times up.
TEST_F(GatedGemmCudaTest, LimitsOfTheGateAreExact) {
  const std::int64_t in = 64;
  const std::vector<float> gates = {0, 100, -200, 64};
  std::vector<float> w(std::size_t(2 * 4 * in), 0.0f);
  for (std::size_t c = 0; c < 4; ++c) {
    w[c * std::size_t(in) + c] = gates[c];
    w[(4 + c) * std::size_t(in) + 10 + c] = static_cast<float>(c + 2);
  }
  for (const std::int64_t tokens : token_counts({1, 9, 20})) {
    const GpuArray weight = to_gpu(device(), DType::bf16, {8, in}, w);
    const GpuArray x = to_gpu(device(), DType::bf16, {tokens, in},
                              std::vector<float>(std::size_t(tokens * in), 1.0f));
    const std::vector<float> y = run(x.view, weight.view);
    for (std::size_t t = 0; t < std::size_t(tokens); ++t) {
      EXPECT_EQ(y[4 * t], 0.0f) << tokens << " tokens, token " << t;
      EXPECT_EQ(y[4 * t + 1], 300.0f) << tokens << " tokens, token " << t;
      EXPECT_NEAR(y[4 * t + 2], 0.0f, 1e-30f) << tokens << " tokens, token " << t;
      EXPECT_EQ(y[4 * t + 3], 320.0f) << tokens << " tokens, token " << t;
    }
  }
}

}  // namespace
}  // namespace tutti
