#include <gtest/gtest.h>

#include "kernels/residual_add.hpp"
#include "tests/kernels/norm_rows_gpu.hpp"

namespace tutti {
namespace {

using ResidualAddCudaTest = testing::GpuTest;

TEST_F(ResidualAddCudaTest, AgreesWithTheHost) {
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    for (const auto& [tokens, dim] : testing::kNormShapes) {
      testing::NormRows r(device(), dtype, tokens, dim);
      residual_add(
          exec(),
          {.x = r.gpu_x.view, .scale = 0.22f, .residual = r.gpu_residual.view, .y = r.gpu_y.view});
      residual_add(
          testing::host_exec(1),
          {.x = r.rows(r.x), .scale = 0.22f, .residual = r.rows(r.residual), .y = r.rows(r.y)});
      r.expect_equal(device(), "residual_add", dtype);
      for (const bool next : {true, false}) {
        add_normed(exec(), {.x = r.gpu_x.view,
                            .post_weight = r.gpu_post.view,
                            .residual = r.gpu_residual.view,
                            .weight = next ? r.gpu_weight.view : TensorView(),
                            .y = r.gpu_y.view});
        add_normed(testing::host_exec(1), {.x = r.rows(r.x),
                                           .post_weight = r.row(r.post),
                                           .residual = r.rows(r.residual),
                                           .weight = next ? r.row(r.weight) : TensorView(),
                                           .y = r.rows(r.y)});
        r.expect_equal(device(), "add_normed", dtype);
      }
    }
  }
}

}  // namespace
}  // namespace tutti
