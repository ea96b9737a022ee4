// The gated product on a device: one kernel where tokens are few, the vendor's library and
// gated_activation beside it.
#include "kernels/device_ops.hpp"
#include "kernels/gated_gemm.hpp"
#include "tests/bench/device_bench.hpp"
#include "tests/bench/gemm_shapes.hpp"

namespace tutti::bench {
namespace {

using testing::gpu_array;
using testing::GpuArray;

double time_gated(DeviceBench& bench, const GpuArray& weights, const WeightShape& shape,
                  std::int64_t tokens, int copies) {
  const GpuArray x = bench.random(DType::bf16, {tokens, shape.in}, 2);
  const GpuArray gate_up = gpu_array(bench.device(), DType::bf16, {tokens, shape.out});
  const GpuArray y = gpu_array(bench.device(), DType::bf16, {tokens, shape.out / 2});
  return bench.microseconds(copies, [&](int copy) {
    gated_gemm(bench.exec(),
               {.x = x.view,
                .weight = {weights.view.row_slice({copy * shape.out, (copy + 1) * shape.out})},
                .gate_up = gate_up.view,
                .y = y.view});
  });
}

int run() {
  const testing::Gpu gpu = testing::Gpu::open();
  if (!gpu.device) {
    fmt::print("{}\n", gpu.why_not);
    return 0;
  }
  DeviceBench bench(*gpu.device);
  fmt::print("{}: reading {:.0f} GB/s\n", gpu.device->name(), bench.read_ceiling() * 1e-9);
  print_few_tokens(bench, kGated, [&](const auto&... what) { return time_gated(bench, what...); });
  for (const WeightShape& shape : kGated) {
    const GpuArray weights = bench.random(DType::bf16, {4 * shape.out, shape.in}, 1);
    for (const std::int64_t tokens : {64, 512, 4096}) {
      const double us = time_gated(bench, weights, shape, tokens, 4);
      const double flops = 2.0 * double(shape.out) * double(shape.in) * double(tokens);
      fmt::print("{:<44} {:>9.2f} us {:>8.1f} TFLOP/s with the gate\n",
                 fmt::format("{} [{}, {}] M {}", shape.name, shape.out, shape.in, tokens), us,
                 flops / us * 1e-6);
    }
  }
  return 0;
}

}  // namespace
}  // namespace tutti::bench

int main() {
  return tutti::bench::run();
}
