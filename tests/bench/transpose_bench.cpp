#include "kernels/transpose.hpp"
#include "tests/bench/bench_buffers.hpp"

namespace tutti {
namespace {

void transpose_matrix(benchmark::State& state, DType dtype) {
  bench::Buffer x(dtype, {4096, 1024});
  bench::Buffer y(dtype, {1024, 4096});
  Exec exec;
  exec.threads = static_cast<int>(state.range(0));
  for (auto _ : state) {
    transpose(exec, {.x = x.view, .y = y.view});
  }
  bench::report_bytes(state, double(x.view.bytes()) * 2);
}
BENCHMARK_CAPTURE(transpose_matrix, f32, DType::f32)->ArgName("threads")->Arg(1)->UseRealTime();
BENCHMARK_CAPTURE(transpose_matrix, bf16, DType::bf16)
    ->ArgName("threads")
    ->Arg(1)
    ->Arg(2)
    ->UseRealTime();

}  // namespace
}  // namespace tutti
