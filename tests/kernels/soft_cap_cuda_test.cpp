#include <gtest/gtest.h>

#include "kernels/soft_cap.hpp"
#include "tests/kernels/kernel_fixture.hpp"
#include "tests/support/gpu_compare.hpp"

namespace tutti {
namespace {

using SoftCapCudaTest = testing::GpuTest;

TEST_F(SoftCapCudaTest, AgreesWithTheHost) {
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    for (const auto& [rows, columns, scale, cap] :
         {std::tuple<std::int64_t, std::int64_t, float, float>{3, 9001, 1.0f, 30.0f},
          {1, 7, 0.125f, 0.0f},
          {70000, 3, 0.5f, 5.0f}}) {
      std::vector<float> x = testing::random_floats(rows * columns, 1);
      for (float& value : x) {
        value *= 60;
      }
      x = testing::rounded(dtype, std::move(x));
      const testing::GpuArray at = testing::to_gpu(device(), dtype, {rows, columns}, x);
      soft_cap(exec(), {.x = at.view, .scale = scale, .cap = cap});
      soft_cap(testing::host_exec(1),
               {.x = testing::view_of(x, {rows, columns}), .scale = scale, .cap = cap});
      testing::expect_near_all(
          "soft_cap", testing::floats_of(device(), at.view), {x.begin(), x.end()},
          [&](double wanted) {
            return std::abs(wanted) * (24 * 0x1p-24 + testing::unit_roundoff(dtype)) + 0x1p-24;
          });
    }
  }
}

}  // namespace
}  // namespace tutti
