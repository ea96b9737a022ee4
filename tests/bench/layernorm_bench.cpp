#include "kernels/layernorm.hpp"
#include "tests/bench/bench_buffers.hpp"

namespace tutti {
namespace {

void add_layernorm_rows(benchmark::State& state) {
  const std::int64_t tokens = state.range(0);
  const std::int64_t dim = state.range(1);
  bench::Buffer x(DType::f32, {tokens, dim});
  bench::Buffer residual(DType::f32, {tokens, dim});
  bench::Buffer weight(DType::f32, {dim});
  bench::Buffer y(DType::f32, {tokens, dim});
  Exec exec;
  exec.threads = static_cast<int>(state.range(2));
  for (auto _ : state) {
    add_layernorm(exec, {.x = x.view,
                         .residual = residual.view,
                         .weight = weight.view,
                         .bias = weight.view,
                         .y = y.view});
  }
  bench::report_bytes(state, double(tokens * dim) * 4 * 4);
}
BENCHMARK(add_layernorm_rows)
    ->ArgNames({"tokens", "dim", "threads"})
    ->ArgsProduct({{1, 512}, {768, 4544}, {1, 2}})
    ->UseRealTime();

}  // namespace
}  // namespace tutti
