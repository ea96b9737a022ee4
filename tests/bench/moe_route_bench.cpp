#include "kernels/moe_route.hpp"
#include "tests/bench/bench_buffers.hpp"

namespace tutti {
namespace {

void moe_route_tokens(benchmark::State& state) {  // of Qwen3-30B-A3B
  const std::int64_t tokens = state.range(0);
  constexpr std::int64_t kExperts = 128;
  constexpr std::int64_t kTopK = 8;
  bench::Buffer logits(DType::f32, {tokens, kExperts});
  bench::Buffer weights(DType::f32, {tokens, kTopK});
  std::vector<std::int32_t> ids(static_cast<std::size_t>(tokens * kTopK));
  Exec exec;
  exec.threads = static_cast<int>(state.range(1));
  for (auto _ : state) {
    moe_route(exec, {.logits = logits.view,
                     .ids = testing::view_of(ids, {tokens, kTopK}),
                     .weights = weights.view});
  }
  bench::report_bytes(state, double(tokens * kExperts) * 4);
}
BENCHMARK(moe_route_tokens)
    ->ArgNames({"tokens", "threads"})
    ->ArgsProduct({{1, 512}, {1, 2}})
    ->UseRealTime();

}  // namespace
}  // namespace tutti
