#include <gtest/gtest.h>

#include "kernels/moe_combine.hpp"
#include "tests/kernels/moe_batch.hpp"
#include "tests/support/gpu_compare.hpp"

namespace tutti {
namespace {

using testing::to_gpu;
using testing::view_of;

using MoeCombineCudaTest = testing::GpuTest;

TEST_F(MoeCombineCudaTest, AgreesWithTheHost) {
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    for (const std::int64_t dim : {2048, 77}) {
      for (const int mode : {0, 1, 2}) {
        testing::MoeBatch batch(19, 16, 4, 3, 9);
        std::vector<float> x =
            testing::rounded(dtype, testing::random_floats(batch.pairs() * dim, 1));
        std::vector<float> weights = testing::random_floats(batch.pairs(), 2);
        std::vector<float> shared = testing::rounded(dtype, testing::random_floats(19 * dim, 3));
        std::vector<float> gate = testing::random_floats(19, 4);
        std::vector<float> wanted(static_cast<std::size_t>(19 * dim));
        const testing::GpuArray gpu_x = to_gpu(device(), dtype, {batch.pairs(), dim}, x);
        const testing::GpuArray gpu_ids = to_gpu(device(), {19, 4}, batch.ids);
        const testing::GpuArray gpu_weights = to_gpu(device(), DType::f32, {19, 4}, weights);
        const testing::GpuArray gpu_shared = to_gpu(device(), dtype, {19, dim}, shared);
        const testing::GpuArray gpu_gate = to_gpu(device(), DType::f32, {19, 1}, gate);
        const testing::GpuArray y = testing::poisoned(device(), dtype, {19, dim});
        const auto args = [&](TensorView rows, TensorView ids, TensorView factors, TensorView s,
                              TensorView g, TensorView to) {
          return MoeCombineArgs{.x = rows,
                                .ids = ids,
                                .weights = factors,
                                .first = 3,
                                .experts = 9,
                                .shared = mode > 0 ? s : TensorView(),
                                .shared_gate = mode > 1 ? g : TensorView(),
                                .y = to};
        };
        moe_combine(exec(), args(gpu_x.view, gpu_ids.view, gpu_weights.view, gpu_shared.view,
                                 gpu_gate.view, y.view));
        moe_combine(
            testing::host_exec(1),
            args(view_of(x, {batch.pairs(), dim}), batch.ids_view(), view_of(weights, {19, 4}),
                 view_of(shared, {19, dim}), view_of(gate, {19, 1}), view_of(wanted, {19, dim})));
        testing::expect_near_all("moe_combine", testing::floats_of(device(), y.view),
                                 {wanted.begin(), wanted.end()}, [&](double value) {
                                   return 60 * 0x1p-24 +
                                          std::abs(value) * testing::unit_roundoff(dtype);
                                 });
      }
    }
  }
}

}  // namespace
}  // namespace tutti
