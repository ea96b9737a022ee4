#include "kernels/expert_gemm.hpp"
#include "kernels/gemm.hpp"
#include "tests/bench/bench_buffers.hpp"
#include "tests/kernels/moe_batch.hpp"

namespace tutti {
namespace {

void expert_gemm_gated(benchmark::State& state) {  // a quarter of the experts of Qwen3-30B-A3B
  const std::int64_t tokens = state.range(0);
  constexpr std::int64_t kIn = 2048;
  constexpr std::int64_t kColumns = 768;
  constexpr std::int64_t kExperts = 32;
  constexpr int kTopK = 8;
  testing::MoeBatch batch(tokens, kExperts, kTopK, 0, kExperts);
  bench::Buffer x(DType::f32, {tokens, kIn});
  bench::Buffer weights(DType::bf16, {kExperts, 2 * kColumns, kIn});
  bench::Buffer y(DType::f32, {tokens * kTopK, kColumns});
  Exec exec;
  exec.threads = static_cast<int>(state.range(1));
  std::vector<std::byte> scratch(gemm_scratch_bytes(kIn, exec.threads));
  exec.scratch = {.data = scratch.data(), .bytes = scratch.size()};
  for (auto _ : state) {
    expert_gemm(exec, {.x = x.view,
                       .weights = weights.view,
                       .groups = batch.groups(),
                       .gated = true,
                       .y = y.view});
  }
  bench::report_bytes(state, double(batch.active[0]) * 2 * kColumns * kIn * 2);
}
BENCHMARK(expert_gemm_gated)
    ->ArgNames({"tokens", "threads"})
    ->ArgsProduct({{1, 16, 128}, {1, 2}})
    ->UseRealTime();

}  // namespace
}  // namespace tutti
