// Arguments of norms on a GPU and on the host, and the comparison of what they give.
#pragma once

#include "tests/kernels/kernel_fixture.hpp"
#include "tests/support/gpu_compare.hpp"

namespace tutti::testing {

struct NormRows {
  std::vector<float> x, residual, weight, post, y;
  GpuArray gpu_x, gpu_residual, gpu_weight, gpu_post, gpu_y;
  std::int64_t tokens, dim;

  NormRows(Device& device, DType dtype, std::int64_t tokens_in, std::int64_t dim_in)
      : x(rounded(dtype, random_floats(tokens_in * dim_in, 1))),
        residual(random_floats(tokens_in * dim_in, 2)),
        weight(random_floats(dim_in, 3)),
        post(random_floats(dim_in, 4)),
        y(x.size()),
        tokens(tokens_in),
        dim(dim_in) {
    gpu_x = to_gpu(device, dtype, {tokens, dim}, x);
    gpu_residual = to_gpu(device, DType::f32, {tokens, dim}, residual);
    gpu_weight = to_gpu(device, DType::f32, {dim}, weight);
    gpu_post = to_gpu(device, DType::f32, {dim}, post);
    gpu_y = poisoned(device, dtype, {tokens, dim});
  }

  TensorView rows(std::vector<float>& values) { return view_of(values, {tokens, dim}); }
  TensorView row(std::vector<float>& values) { return view_of(values, {dim}); }

  // Elements are of a few units; sums have at most dim / 4 roundings on the host, fewer here.
  void expect_equal(Device& device, const std::string& what, DType dtype) {
    const double fine = 0x1p-24 * (static_cast<double>(dim) / 2 + 64);
    expect_near_all(what + ", residual", floats_of(device, gpu_residual.view),
                    {residual.begin(), residual.end()}, [&](double) { return fine; });
    expect_near_all(
        what + ", y", floats_of(device, gpu_y.view), {y.begin(), y.end()},
        [&](double wanted) { return fine + unit_roundoff(dtype) * std::abs(wanted) + 0x1p-24; });
  }
};

inline constexpr std::pair<std::int64_t, std::int64_t> kNormShapes[] = {
    {1, 4096}, {16, 576}, {3, 77}, {2, 16384}, {2, 3}};

}  // namespace tutti::testing
