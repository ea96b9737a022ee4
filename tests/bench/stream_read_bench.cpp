#include "kernels/stream_read.hpp"
#include "tests/bench/bench_buffers.hpp"

namespace tutti {
namespace {

void stream_read_words(benchmark::State& state) {
  bench::Buffer x(DType::f32, {std::int64_t{64} << 20});
  bench::Buffer y(DType::i32, {1});
  Exec exec;
  exec.threads = static_cast<int>(state.range(0));
  for (auto _ : state) {
    stream_read(exec, {.x = x.view, .y = y.view});
  }
  bench::report_bytes(state, double(x.view.bytes()));
}
BENCHMARK(stream_read_words)->ArgName("threads")->Arg(1)->Arg(2)->UseRealTime();

}  // namespace
}  // namespace tutti
