#include "kernels/qk_squares.hpp"
#include "tests/bench/bench_buffers.hpp"

namespace tutti {
namespace {

void qk_squares_tokens(benchmark::State& state) {  // heads of OLMo-2-7B
  const std::int64_t tokens = state.range(0);
  constexpr std::int64_t kWidth = 3 * 32 * 128;
  bench::Buffer qkv(DType::f32, {tokens, kWidth});
  bench::Buffer squares(DType::f32, {tokens, 2});
  Exec exec;
  exec.threads = static_cast<int>(state.range(1));
  for (auto _ : state) {
    qk_squares(exec, {.qkv = qkv.view,
                      .q_heads = 32,
                      .kv_heads = 32,
                      .head_dim = 128,
                      .k_heads = {0, 32},
                      .squares = squares.view});
  }
  bench::report_bytes(state, double(tokens * kWidth) * 4 * 2 / 3);
}
BENCHMARK(qk_squares_tokens)
    ->ArgNames({"tokens", "threads"})
    ->ArgsProduct({{1, 512}, {1, 2}})
    ->UseRealTime();

}  // namespace
}  // namespace tutti
