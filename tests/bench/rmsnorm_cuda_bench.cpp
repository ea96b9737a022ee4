#include "kernels/rmsnorm.hpp"
#include "tests/bench/device_main.hpp"

namespace tutti {
namespace {

void run(bench::DeviceBench& bench) {
  for (const std::int64_t hidden : {4096, 8192}) {
    const testing::GpuArray weight = bench.random(DType::f32, {hidden}, 1);
    for (const std::int64_t tokens : {1, 16, 512}) {
      const testing::GpuArray x = bench.random(DType::bf16, {tokens, hidden}, 2);
      const testing::GpuArray residual = bench.random(DType::f32, {tokens, hidden}, 3);
      const testing::GpuArray y = bench.random(DType::bf16, {tokens, hidden}, 4);
      const double elements = static_cast<double>(tokens * hidden);
      double us = bench.microseconds(32, [&](int) {
        rmsnorm(bench.exec(), {.x = residual.view, .weight = weight.view, .y = y.view});
      });
      bench.print_bytes(fmt::format("rmsnorm f32 -> bf16 [{}, {}]", tokens, hidden), elements * 6,
                        us);
      us = bench.microseconds(32, [&](int) {
        add_rmsnorm(bench.exec(),
                    {.x = x.view, .residual = residual.view, .weight = weight.view, .y = y.view});
      });
      bench.print_bytes(fmt::format("add_rmsnorm bf16 [{}, {}]", tokens, hidden), elements * 12,
                        us);
    }
  }
}

}  // namespace
}  // namespace tutti

int main() {
  return tutti::bench::with_gpu(tutti::run);
}
