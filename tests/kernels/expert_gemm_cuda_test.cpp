// Experts' products on a device against the host's, for few tokens and for many.
#include <gtest/gtest.h>

#include "kernels/expert_gemm.hpp"
#include "kernels/gemm.hpp"
#include "tests/kernels/moe_batch.hpp"
#include "tests/support/gpu_compare.hpp"

namespace tutti {
namespace {

using testing::GpuArray;
using testing::to_gpu;
using testing::view_of;

struct Shape {
  int tokens;
  int all;
  int top_k;
  int first;
  int experts;
  std::int64_t in;
  std::int64_t columns;
};

class ExpertGemmCudaTest : public testing::GpuTest {
 protected:
  // Weights that no pair wants are NaN; rows of other ranks' pairs stay as they are.
  static void agrees(const Shape& s, DType dtype, bool gated, bool pair_rows, Activation kind) {
    testing::MoeBatch batch(s.tokens, s.all, s.top_k, s.first, s.experts);
    const std::int64_t rows = (gated ? 2 : 1) * s.columns;
    const std::int64_t x_rows = pair_rows ? batch.pairs() : s.tokens;
    std::vector<float> w = testing::random_floats(s.experts * rows * s.in, 1);
    for (float& v : w) {
      v *= 3.0f / std::sqrt(static_cast<float>(s.in));
    }
    w = testing::rounded(dtype, std::move(w));
    std::vector<float> x = testing::rounded(dtype, testing::random_floats(x_rows * s.in, 2));
    std::vector<float> y(static_cast<std::size_t>(batch.pairs() * s.columns), -3.0f);
    std::vector<float> gpu_w = w;
    for (std::int64_t e = 0; e < s.experts; ++e) {
      if (batch.begin[std::size_t(e)] == batch.begin[std::size_t(e + 1)]) {
        std::fill_n(gpu_w.begin() + e * rows * s.in, rows * s.in, std::nanf(""));
      }
    }
    const GpuArray weights = to_gpu(device(), dtype, {s.experts, rows, s.in}, gpu_w);
    const GpuArray from = to_gpu(device(), dtype, {x_rows, s.in}, x);
    const GpuArray to = to_gpu(device(), dtype, {batch.pairs(), s.columns}, y);
    const GpuArray order = to_gpu(device(), {batch.pairs()}, batch.order);
    const GpuArray begin = to_gpu(device(), {s.experts + 1}, batch.begin);
    const GpuArray tiles = to_gpu(device(), {s.experts + 1}, batch.tiles);
    const GpuArray active = to_gpu(device(), {s.experts + 1}, batch.active);
    const ExpertGemmArgs args{.x = from.view,
                              .weights = weights.view,
                              .groups = {.order = order.view,
                                         .begin = begin.view,
                                         .tiles = tiles.view,
                                         .active = active.view,
                                         .top_k = s.top_k},
                              .gated = gated,
                              .kind = kind,
                              .y = to.view};
    expert_gemm(exec(), args);
    Exec host = testing::host_exec(4);
    std::vector<std::byte> scratch(gemm_scratch_bytes(s.in, host.threads));
    host.scratch = {.data = scratch.data(), .bytes = scratch.size()};
    expert_gemm(host, {.x = view_of(x, {x_rows, s.in}),
                       .weights = view_of(w, {s.experts, rows, s.in}),
                       .groups = batch.groups(),
                       .gated = gated,
                       .kind = kind,
                       .y = view_of(y, {batch.pairs(), s.columns})});
    // Sums of `in` products of random signs, of magnitude 1 / sqrt(in) each and sqrt(in) in all, to
    // in / 8 roundings on either side; y, of a few units, is rounded once.
    const double sum = 3 * std::sqrt(double(s.in)) * (double(s.in) / 4 + 32) * 0x1p-24;
    testing::expect_near_all(
        std::string(name_of(dtype)) + " tokens " + std::to_string(s.tokens) + " experts " +
            std::to_string(s.experts) + " in " + std::to_string(s.in) + " columns " +
            std::to_string(s.columns) + (gated ? " gated" : "") + (pair_rows ? " pairs" : ""),
        testing::floats_of(device(), to.view), {y.begin(), y.end()}, [&](double wanted) {
          return (gated ? 12 : 1) * sum + testing::unit_roundoff(dtype) * std::abs(wanted) +
                 0x1p-24;
        });
    const std::vector<std::byte> before = testing::bytes_of(device(), to.view);
    expert_gemm(exec(), args);
    EXPECT_TRUE(before == testing::bytes_of(device(), to.view)) << "other bits at repetition";
  }
};

constexpr Shape kShapes[] = {{1, 16, 4, 0, 16, 256, 96}, {5, 16, 4, 3, 9, 2048, 70},
                             {16, 8, 2, 0, 8, 100, 33},  {300, 8, 2, 0, 8, 256, 192},
                             {200, 4, 2, 1, 2, 104, 65}, {700, 16, 4, 3, 9, 64, 17},
                             {150, 8, 3, 0, 8, 45, 13},  {40, 60, 4, 0, 60, 128, 64}};

TEST_F(ExpertGemmCudaTest, MultipliesAsTheHost) {
  for (const DType dtype : {DType::bf16, DType::f16, DType::f32}) {
    for (const Shape& s : kShapes) {
      agrees(s, dtype, true, false, Activation::silu);
      agrees(s, dtype, false, true, Activation::silu);
    }
    agrees(kShapes[0], dtype, true, true, Activation::gelu_tanh);
    agrees(kShapes[3], dtype, true, true, Activation::gelu_erf);
    agrees(kShapes[3], dtype, true, false, Activation::relu);
    agrees(kShapes[4], dtype, false, false, Activation::silu);
  }
}

}  // namespace
}  // namespace tutti
