#include <gtest/gtest.h>

#include "kernels/qk_squares.hpp"
#include "tests/kernels/kernel_fixture.hpp"
#include "tests/support/gpu_compare.hpp"

namespace tutti {
namespace {

using QkSquaresCudaTest = testing::GpuTest;

TEST_F(QkSquaresCudaTest, AgreesWithTheHost) {
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    for (const int head_dim : {128, 20}) {
      for (const int tokens : {1, 37}) {
        const int width = (6 + 2 * 3) * head_dim;
        std::vector<float> x =
            testing::rounded(dtype, testing::random_floats(std::int64_t{tokens} * width, 1));
        const testing::GpuArray qkv = testing::to_gpu(device(), dtype, {tokens, width}, x);
        const testing::GpuArray y = testing::poisoned(device(), DType::f32, {tokens, 2});
        std::vector<float> wanted(static_cast<std::size_t>(tokens) * 2);
        const auto args = [&](TensorView from, TensorView to) {
          return QkSquaresArgs{.qkv = from,
                               .q_heads = 6,
                               .kv_heads = 3,
                               .head_dim = head_dim,
                               .k_heads = {0, 2},
                               .squares = to};
        };
        qk_squares(exec(), args(qkv.view, y.view));
        qk_squares(testing::host_exec(1), args(testing::view_of(x, {tokens, width}),
                                               testing::view_of(wanted, {tokens, 2})));
        // Sums of positive terms: at most 200 roundings on either side.
        testing::expect_near_all("qk_squares", testing::floats_of(device(), y.view),
                                 {wanted.begin(), wanted.end()},
                                 [](double sum) { return 400 * 0x1p-24 * sum; });
      }
    }
  }
}

}  // namespace
}  // namespace tutti
