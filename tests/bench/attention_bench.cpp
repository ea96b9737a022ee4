// Attention with SmolLM2-135M's heads and a 7B's: GB/s of cached keys and values where one token is
// decoded, GFLOP/s where a prompt is processed.
#include <cmath>

#include "kernels/attention.hpp"
#include "tests/bench/bench_buffers.hpp"

namespace tutti {
namespace {

void attention_step(benchmark::State& state) {
  const std::int64_t tokens = state.range(0);
  const std::int64_t context = state.range(1);
  const std::int64_t q_heads = state.range(2);
  const std::int64_t kv_heads = state.range(3);
  const std::int64_t head_dim = state.range(4);
  constexpr std::int64_t kPageSize = 16;
  const std::int64_t pages = context / kPageSize + 1;
  bench::Buffer q(DType::f32, {tokens, q_heads * head_dim});
  bench::Buffer y(DType::f32, {tokens, q_heads * head_dim});
  bench::Buffer k(DType::f32, {pages, kv_heads, kPageSize, head_dim});
  bench::Buffer v(DType::f32, {pages, kv_heads, kPageSize, head_dim});
  std::vector<std::int32_t> begin = {0, static_cast<std::int32_t>(tokens)};
  std::vector<std::int32_t> length = {static_cast<std::int32_t>(context)};
  std::vector<std::int32_t> table;
  for (std::int64_t p = 0; p < pages; ++p) {
    table.push_back(static_cast<std::int32_t>(p * 7 % pages));
  }
  std::vector<std::int32_t> kv_of_q;
  for (std::int64_t h = 0; h < q_heads; ++h) {
    kv_of_q.push_back(static_cast<std::int32_t>(h * kv_heads / q_heads));
  }
  const auto window = static_cast<int>(state.range(6));
  Exec exec;
  exec.threads = static_cast<int>(state.range(5));
  for (auto _ : state) {
    attention(exec, {.q = q.view,
                     .k_pages = k.view,
                     .v_pages = v.view,
                     .query_begin = testing::view_of(begin, {2}),
                     .context_length = testing::view_of(length, {1}),
                     .block_table = testing::view_of(table, {1, pages}),
                     .kv_of_q = testing::view_of(kv_of_q, {q_heads}),
                     .head_dim = static_cast<int>(head_dim),
                     .scale = 1.0f / std::sqrt(static_cast<float>(head_dim)),
                     .window = window,
                     .softcap = window > 0 ? 50.0f : 0.0f,
                     .y = y.view});
  }
  const double pairs =
      double(tokens) * (window > 0 ? double(window) : double(context) - double(tokens - 1) / 2);
  bench::report_flops(state, 4 * pairs * double(q_heads * head_dim));
  bench::report_bytes(state, double(context * kv_heads * head_dim) * 8);
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"tokens", "context", "q_heads", "kv_heads", "head_dim", "threads", "window"})
      ->UseRealTime();
  for (std::int64_t threads : {1, 2}) {
    b->Args({1, 128, 9, 3, 64, threads, 0});
    b->Args({1, 2048, 9, 3, 64, threads, 0});
    b->Args({512, 512, 9, 3, 64, threads, 0});
    b->Args({1, 2048, 32, 32, 128, threads, 0});
    b->Args({512, 2048, 32, 32, 128, threads, 0});
    b->Args({1, 2048, 8, 4, 256, threads, 512});  // with a soft cap, as Gemma 2 has both
    b->Args({512, 2048, 8, 4, 256, threads, 512});
  }
}
BENCHMARK(attention_step)->Apply(shapes);

}  // namespace
}  // namespace tutti
