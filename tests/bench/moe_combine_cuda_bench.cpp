// What the experts of Qwen3-30B-A3B and of Mixtral 8x7B computed, summed: bytes of their rows and
// of y against reading as measured in the same run.
#include "kernels/moe_combine.hpp"
#include "tests/bench/device_main.hpp"
#include "tests/kernels/moe_gpu.hpp"

namespace tutti {
namespace {

void run_shape(bench::DeviceBench& bench, const char* name, std::int64_t experts, int top_k,
               std::int64_t hidden) {
  for (const std::int64_t tokens : {1, 16, 512}) {
    testing::MoeBatch batch(tokens, experts, top_k, 0, experts);
    const testing::GpuArray ids = testing::to_gpu(bench.device(), {tokens, top_k}, batch.ids);
    const testing::GpuArray weights = bench.random(DType::f32, {tokens, top_k}, 1);
    const testing::GpuArray x = bench.random(DType::bf16, {batch.pairs(), hidden}, 2);
    const testing::GpuArray y = bench.random(DType::bf16, {tokens, hidden}, 3);
    const double us = bench.microseconds(64, [&](int) {
      moe_combine(
          bench.exec(),
          {.x = x.view, .ids = ids.view, .weights = weights.view, .experts = experts, .y = y.view});
    });
    bench.print_bytes(fmt::format("{} combine, {} tokens", name, tokens),
                      static_cast<double>(x.view.bytes() + y.view.bytes()), us);
  }
}

void run(bench::DeviceBench& bench) {
  run_shape(bench, "qwen3-30b-a3b", 128, 8, 2048);
  run_shape(bench, "mixtral-8x7b", 8, 2, 4096);
}

}  // namespace
}  // namespace tutti

int main() {
  return tutti::bench::with_gpu(tutti::run);
}
