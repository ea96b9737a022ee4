#include "kernels/activation.hpp"
#include "tests/bench/bench_buffers.hpp"

namespace tutti {
namespace {

void activation_rows(benchmark::State& state) {
  const std::int64_t tokens = state.range(0);
  const std::int64_t columns = state.range(1);
  bench::Buffer x(DType::f32, {tokens, columns});
  Exec exec;
  exec.threads = static_cast<int>(state.range(3));
  for (auto _ : state) {
    activation(exec, {.x = x.view, .kind = static_cast<Activation>(state.range(2))});
  }
  bench::report_bytes(state, double(tokens * columns) * 4 * 2);
}
BENCHMARK(activation_rows)
    ->ArgNames({"tokens", "columns", "kind", "threads"})
    ->ArgsProduct({{1, 512}, {3072, 16384}, {0, 1, 2, 3}, {1, 2}})
    ->UseRealTime();

}  // namespace
}  // namespace tutti
