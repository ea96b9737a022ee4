#include "kernels/moe_combine.hpp"
#include "tests/bench/bench_buffers.hpp"
#include "tests/kernels/moe_batch.hpp"

namespace tutti {
namespace {

void moe_combine_tokens(benchmark::State& state) {  // of Qwen3-30B-A3B
  const std::int64_t tokens = state.range(0);
  constexpr std::int64_t kDim = 2048;
  constexpr int kTopK = 8;
  testing::MoeBatch batch(tokens, 128, kTopK, 0, 128);
  bench::Buffer x(DType::f32, {tokens * kTopK, kDim});
  bench::Buffer weights(DType::f32, {tokens, kTopK});
  bench::Buffer y(DType::f32, {tokens, kDim});
  Exec exec;
  exec.threads = static_cast<int>(state.range(1));
  for (auto _ : state) {
    moe_combine(exec, {.x = x.view,
                       .ids = batch.ids_view(),
                       .weights = weights.view,
                       .experts = 128,
                       .y = y.view});
  }
  bench::report_bytes(state, double(tokens * kDim) * 4 * (kTopK + 1));
}
BENCHMARK(moe_combine_tokens)
    ->ArgNames({"tokens", "threads"})
    ->ArgsProduct({{1, 128}, {1, 2}})
    ->UseRealTime();

}  // namespace
}  // namespace tutti
