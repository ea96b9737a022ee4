#include "kernels/residual_add.hpp"
#include "tests/bench/bench_buffers.hpp"

namespace tutti {
namespace {

void add_normed_rows(benchmark::State& state) {
  const std::int64_t tokens = state.range(0);
  const std::int64_t dim = state.range(1);
  bench::Buffer x(DType::f32, {tokens, dim});
  bench::Buffer residual(DType::f32, {tokens, dim});
  bench::Buffer weight(DType::f32, {dim});
  bench::Buffer y(DType::f32, {tokens, dim});
  Exec exec;
  exec.threads = static_cast<int>(state.range(2));
  for (auto _ : state) {
    add_normed(exec, {.x = x.view,
                      .post_weight = weight.view,
                      .residual = residual.view,
                      .weight = weight.view,
                      .y = y.view});
  }
  bench::report_bytes(state, double(tokens * dim) * 4 * 4);
}
BENCHMARK(add_normed_rows)
    ->ArgNames({"tokens", "dim", "threads"})
    ->ArgsProduct({{1, 512}, {640, 4608}, {1, 2}})
    ->UseRealTime();

}  // namespace
}  // namespace tutti
