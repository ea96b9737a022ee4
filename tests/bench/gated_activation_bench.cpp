#include "kernels/gated_activation.hpp"
#include "tests/bench/bench_buffers.hpp"

namespace tutti {
namespace {

void gated_activation_rows(benchmark::State& state) {
  const std::int64_t tokens = state.range(0);
  const std::int64_t columns = state.range(1);
  bench::Buffer gate_up(DType::f32, {tokens, 2 * columns});
  bench::Buffer y(DType::f32, {tokens, columns});
  Exec exec;
  exec.threads = static_cast<int>(state.range(2));
  for (auto _ : state) {
    gated_activation(exec, {.gate_up = gate_up.view, .y = y.view});
  }
  bench::report_bytes(state, double(tokens * columns) * 4 * 3);
}
BENCHMARK(gated_activation_rows)
    ->ArgNames({"tokens", "columns", "threads"})
    ->ArgsProduct({{1, 8, 512}, {1536, 11008}, {1, 2}})
    ->UseRealTime();

}  // namespace
}  // namespace tutti
