#include <gtest/gtest.h>

#include "kernels/gated_activation.hpp"
#include "tests/kernels/kernel_fixture.hpp"
#include "tests/support/gpu_compare.hpp"

namespace tutti {
namespace {

struct Shape {
  std::int64_t tokens;
  std::int64_t columns;
  float range;
};

using GatedActivationCudaTest = testing::GpuTest;

TEST_F(GatedActivationCudaTest, AgreesWithTheFormula) {
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    for (const Shape& s : {Shape{1, 11008, 5}, Shape{16, 1536, 20}, Shape{3, 77, 1},
                           Shape{2, 4, 200}, Shape{70000, 8, 3}, Shape{0, 8, 1}}) {
      std::vector<float> x = testing::random_floats(s.tokens * s.columns * 2, 1);
      for (float& value : x) {
        value *= s.range;
      }
      x = testing::rounded(dtype, std::move(x));
      const testing::GpuArray gate_up =
          testing::to_gpu(device(), dtype, {s.tokens, 2 * s.columns}, x);
      const testing::GpuArray y = testing::poisoned(device(), dtype, {s.tokens, s.columns});
      gated_activation(exec(), {.gate_up = gate_up.view, .y = y.view});
      std::vector<double> wanted;
      for (std::int64_t t = 0; t < s.tokens; ++t) {
        for (std::int64_t c = 0; c < s.columns; ++c) {
          const double g = x[static_cast<std::size_t>(2 * t * s.columns + c)];
          const double u = x[static_cast<std::size_t>((2 * t + 1) * s.columns + c)];
          wanted.push_back(g / (1 + std::exp(-g)) * u);
        }
      }
      // e^x to 2 ulp, a sum, a quotient, a product, and the rounding to y's type; e^-g past f32
      // makes the result 0 where it is below 1e-35.
      testing::expect_near_all(
          "gated_activation " + std::string(name_of(dtype)) + " [" + std::to_string(s.tokens) +
              ", " + std::to_string(s.columns) + "]",
          testing::floats_of(device(), y.view), wanted, [&](double value) {
            return std::abs(value) * (8 * 0x1p-24 + testing::unit_roundoff(dtype)) +
                   (dtype == DType::f16 ? 0x1p-25 : 1e-33);
          });
    }
  }
}

TEST_F(GatedActivationCudaTest, TakesRowsThatLieApart) {
  for (const std::int64_t stride : {256, 251}) {  // with and without vectors
    const std::vector<float> x = testing::random_floats(3 * stride, 1);
    const testing::GpuArray wide = testing::to_gpu(device(), DType::f32, {3, stride}, x);
    const testing::GpuArray y = testing::poisoned(device(), DType::f32, {3, 64});
    gated_activation(exec(), {.gate_up = wide.view.column_slice({0, 128}), .y = y.view});
    std::vector<float> dense;
    for (std::int64_t t = 0; t < 3; ++t) {
      dense.insert(dense.end(), x.begin() + t * stride, x.begin() + t * stride + 128);
    }
    std::vector<float> wanted(3 * 64);
    gated_activation(testing::host_exec(1), {.gate_up = testing::view_of(dense, {3, 128}),
                                             .y = testing::view_of(wanted, {3, 64})});
    testing::expect_near_all("stride " + std::to_string(stride),
                             testing::floats_of(device(), y.view), {wanted.begin(), wanted.end()},
                             [](double value) { return std::abs(value) * 16 * 0x1p-24 + 1e-30; });
  }
}

}  // namespace
}  // namespace tutti
