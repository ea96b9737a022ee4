#include <gtest/gtest.h>

#include "kernels/layernorm.hpp"
#include "tests/kernels/norm_rows_gpu.hpp"

namespace tutti {
namespace {

using LayernormCudaTest = testing::GpuTest;

TEST_F(LayernormCudaTest, AgreesWithTheHost) {
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    for (const auto& [tokens, dim] : testing::kNormShapes) {
      for (const bool bias : {false, true}) {
        testing::NormRows r(device(), dtype, tokens, dim);
        layernorm(exec(), {.x = r.gpu_residual.view,
                           .weight = r.gpu_weight.view,
                           .bias = bias ? r.gpu_post.view : TensorView(),
                           .y = r.gpu_y.view});
        layernorm(testing::host_exec(1), {.x = r.rows(r.residual),
                                          .weight = r.row(r.weight),
                                          .bias = bias ? r.row(r.post) : TensorView(),
                                          .y = r.rows(r.y)});
        r.expect_equal(device(), "layernorm", dtype);
        add_layernorm(exec(), {.x = r.gpu_x.view,
                               .residual = r.gpu_residual.view,
                               .weight = r.gpu_weight.view,
                               .bias = bias ? r.gpu_post.view : TensorView(),
                               .y = r.gpu_y.view});
        add_layernorm(testing::host_exec(1), {.x = r.rows(r.x),
                                              .residual = r.rows(r.residual),
                                              .weight = r.row(r.weight),
                                              .bias = bias ? r.row(r.post) : TensorView(),
                                              .y = r.rows(r.y)});
        r.expect_equal(device(), "add_layernorm", dtype);
      }
    }
  }
}

}  // namespace
}  // namespace tutti
