#include "kernels/rope.hpp"
#include "tests/bench/bench_buffers.hpp"

namespace tutti {
namespace {

void rope_tokens(benchmark::State& state) {
  const std::int64_t tokens = state.range(0);
  constexpr int kQHeads = 9;
  constexpr int kKvHeads = 3;
  constexpr int kHeadDim = 64;
  constexpr std::int64_t kPageSize = 16;
  const std::int64_t pages = tokens / kPageSize + 1;
  constexpr std::int64_t kWidth = (kQHeads + 2 * kKvHeads) * kHeadDim;
  bench::Buffer qkv(DType::f32, {tokens, kWidth});
  bench::Buffer k(DType::f32, {pages, kKvHeads, kPageSize, kHeadDim});
  bench::Buffer v(DType::f32, {pages, kKvHeads, kPageSize, kHeadDim});
  std::vector<float> inv_freq(kHeadDim / 2, 0.01f);
  std::vector<std::int32_t> positions;
  for (std::int64_t t = 0; t < tokens; ++t) {
    positions.push_back(static_cast<std::int32_t>(t));
  }
  Exec exec;
  exec.threads = static_cast<int>(state.range(1));
  for (auto _ : state) {
    rope_append(exec, {.qkv = qkv.view,
                       .positions = testing::view_of(positions, {tokens}),
                       .slots = testing::view_of(positions, {tokens}),
                       .inv_freq = testing::view_of(inv_freq, {kHeadDim / 2}),
                       .q_heads = kQHeads,
                       .kv_heads = kKvHeads,
                       .head_dim = kHeadDim,
                       .k_pages = k.view,
                       .v_pages = v.view});
  }
  bench::report_bytes(state, double(tokens * kWidth) * 4 * 2);
}
BENCHMARK(rope_tokens)
    ->ArgNames({"tokens", "threads"})
    ->ArgsProduct({{1, 8, 512}, {1, 2}})
    ->UseRealTime();

}  // namespace
}  // namespace tutti
