#include <gtest/gtest.h>

#include "kernels/moe_combine.hpp"
#include "tests/kernels/moe_gpu.hpp"

namespace tutti {
namespace {

using testing::to_gpu;
using testing::view_of;

using MoeCombineCudaTest = testing::GpuTest;

// Rows of other ranks' pairs are NaN; y lies in an array of its own, then where `shared` is.
TEST_F(MoeCombineCudaTest, AgreesWithTheHost) {
  struct Shape {
    std::int64_t dim;
    int top_k;
  };
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    for (const Shape& s :
         {Shape{2048, 4}, {77, 4}, {520, 1}, {8, 8}, {600, 9}, {33, 16}, {64, 16}}) {
      for (const int mode : {0, 1, 2}) {  // without a shared expert, with one, with its gate
        testing::MoeBatch batch(19, 32, s.top_k, 3, 19);
        std::vector<float> x =
            testing::rounded(dtype, testing::random_floats(batch.pairs() * s.dim, 1));
        for (std::size_t p = 0; p < batch.ids.size(); ++p) {
          if (batch.expert_of(p) < 0) {
            std::fill_n(x.begin() + std::ptrdiff_t(p) * s.dim, s.dim, std::nanf(""));
          }
        }
        std::vector<float> weights = testing::random_floats(batch.pairs(), 2);
        std::vector<float> shared = testing::rounded(dtype, testing::random_floats(19 * s.dim, 3));
        std::vector<float> gate = testing::random_floats(19, 4);
        std::vector<float> wanted(static_cast<std::size_t>(19 * s.dim));
        const testing::GpuArray gpu_x = to_gpu(device(), dtype, {batch.pairs(), s.dim}, x);
        const testing::GpuArray gpu_ids = to_gpu(device(), {19, s.top_k}, batch.ids);
        const testing::GpuArray gpu_weights = to_gpu(device(), DType::f32, {19, s.top_k}, weights);
        const testing::GpuArray gpu_shared = to_gpu(device(), dtype, {19, s.dim}, shared);
        const testing::GpuArray gpu_gate = to_gpu(device(), DType::f32, {19, 1}, gate);
        const testing::GpuArray y = testing::poisoned(device(), dtype, {19, s.dim});
        const auto args = [&](TensorView rows, TensorView ids, TensorView factors,
                              TensorView beside, TensorView g, TensorView to) {
          return MoeCombineArgs{.x = rows,
                                .ids = ids,
                                .weights = factors,
                                .first = 3,
                                .experts = 19,
                                .shared = mode > 0 ? beside : TensorView(),
                                .shared_gate = mode > 1 ? g : TensorView(),
                                .y = to};
        };
        moe_combine(exec(), args(gpu_x.view, gpu_ids.view, gpu_weights.view, gpu_shared.view,
                                 gpu_gate.view, y.view));
        moe_combine(testing::host_exec(1),
                    args(view_of(x, {batch.pairs(), s.dim}), batch.ids_view(),
                         view_of(weights, {19, s.top_k}), view_of(shared, {19, s.dim}),
                         view_of(gate, {19, 1}), view_of(wanted, {19, s.dim})));
        testing::expect_near_all("moe_combine", testing::floats_of(device(), y.view),
                                 {wanted.begin(), wanted.end()}, [&](double value) {
                                   // Terms below 1 of all experts and the shared one, rounded, as
                                   // many sums.
                                   return 4.0 * (s.top_k + 1) * (s.top_k + 2) * 0x1p-24 +
                                          std::abs(value) * testing::unit_roundoff(dtype) + 0x1p-24;
                                 });
        if (mode > 0) {
          moe_combine(exec(), args(gpu_x.view, gpu_ids.view, gpu_weights.view, gpu_shared.view,
                                   gpu_gate.view, gpu_shared.view));
          EXPECT_TRUE(testing::bytes_of(device(), gpu_shared.view) ==
                      testing::bytes_of(device(), y.view));
        }
      }
    }
  }
}

}  // namespace
}  // namespace tutti
