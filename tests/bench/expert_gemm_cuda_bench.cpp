// The experts' products of Qwen3-30B-A3B and of Mixtral 8x7B: bytes of the chosen experts' weights
// against reading as measured in the same run.
#include "kernels/expert_gemm.hpp"
#include "tests/bench/device_main.hpp"
#include "tests/kernels/moe_gpu.hpp"

namespace tutti {
namespace {

struct Shape {
  const char* name;
  std::int64_t experts;
  int top_k;
  std::int64_t hidden;
  std::int64_t columns;
};

void run_shape(bench::DeviceBench& bench, const Shape& s) {
  const testing::GpuArray gate_up =
      bench.random(DType::bf16, {s.experts, 2 * s.columns, s.hidden}, 1);
  const testing::GpuArray down = bench.random(DType::bf16, {s.experts, s.hidden, s.columns}, 2);
  for (const std::int64_t tokens : {1, 4, 16, 512}) {
    testing::MoeBatch batch(tokens, s.experts, s.top_k, 0, s.experts);
    const testing::GpuGroups lists(bench.device(), batch);
    const ExpertGroups groups = lists.groups();
    const testing::GpuArray x = bench.random(DType::bf16, {tokens, s.hidden}, 3);
    const testing::GpuArray middle = bench.random(DType::bf16, {batch.pairs(), s.columns}, 4);
    const testing::GpuArray y = bench.random(DType::bf16, {batch.pairs(), s.hidden}, 5);
    const double us = bench.microseconds(16, [&](int) {
      expert_gemm(bench.exec(), {.x = x.view,
                                 .weights = gate_up.view,
                                 .groups = groups,
                                 .gated = true,
                                 .y = middle.view});
      expert_gemm(bench.exec(), {.x = middle.view,
                                 .weights = down.view,
                                 .groups = groups,
                                 .groups_settled = true,
                                 .y = y.view});
    });
    bench.print_bytes(
        fmt::format("{} bf16, {} tokens, {} experts", s.name, tokens, batch.active[0]),
        3.0 * static_cast<double>(batch.active[0] * s.columns * s.hidden) * 2, us);
  }
}

void run(bench::DeviceBench& bench) {
  run_shape(bench, {"qwen3-30b-a3b", 128, 8, 2048, 768});
  run_shape(bench, {"mixtral-8x7b", 8, 2, 4096, 14336});
}

}  // namespace
}  // namespace tutti

int main() {
  return tutti::bench::with_gpu(tutti::run);
}
