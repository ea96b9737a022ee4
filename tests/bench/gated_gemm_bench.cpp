#include "kernels/gated_gemm.hpp"
#include "kernels/gemm.hpp"
#include "tests/bench/bench_buffers.hpp"

namespace tutti {
namespace {

void gated_rows(benchmark::State& state) {
  const std::int64_t tokens = state.range(0);
  const std::int64_t columns = state.range(1);
  const std::int64_t in = state.range(2);
  bench::Buffer weight(DType::bf16, {2 * columns, in});
  bench::Buffer x(DType::f32, {tokens, in});
  bench::Buffer gate_up(DType::f32, {tokens, 2 * columns});
  bench::Buffer y(DType::f32, {tokens, columns});
  Exec exec;
  exec.threads = static_cast<int>(state.range(3));
  std::vector<std::byte> scratch(gemm_scratch_bytes(in, exec.threads));
  exec.scratch = {.data = scratch.data(), .bytes = scratch.size()};
  for (auto _ : state) {
    gated_gemm(exec, {.x = x.view, .weight = {weight.view}, .gate_up = gate_up.view, .y = y.view});
  }
  bench::report_bytes(state, 4.0 * double(columns * in));
  bench::report_flops(state, 4.0 * double(columns * in * tokens));
}
BENCHMARK(gated_rows)
    ->ArgNames({"tokens", "columns", "in", "threads"})
    ->Args({1, 1536, 576, 1})
    ->Args({1, 11008, 4096, 2})
    ->Args({64, 1536, 576, 2})
    ->UseRealTime();

}  // namespace
}  // namespace tutti
