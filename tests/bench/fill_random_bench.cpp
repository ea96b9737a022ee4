#include "kernels/fill_random.hpp"
#include "tests/bench/bench_buffers.hpp"

namespace tutti {
namespace {

void fill_random_matrix(benchmark::State& state, DType dtype) {
  bench::Buffer y(dtype, {1024, 4096});
  Exec exec;
  exec.threads = static_cast<int>(state.range(0));
  for (auto _ : state) {
    fill_random(exec, {.key = 1, .scale = 0.02f, .y = y.view});
  }
  bench::report_bytes(state, double(y.view.bytes()));
}
BENCHMARK_CAPTURE(fill_random_matrix, f32, DType::f32)->ArgName("threads")->Arg(1)->UseRealTime();
BENCHMARK_CAPTURE(fill_random_matrix, bf16, DType::bf16)
    ->ArgName("threads")
    ->Arg(1)
    ->Arg(2)
    ->UseRealTime();

}  // namespace
}  // namespace tutti
