#include "kernels/soft_cap.hpp"
#include "tests/bench/bench_buffers.hpp"

namespace tutti {
namespace {

void soft_cap_logits(benchmark::State& state) {
  const std::int64_t rows = state.range(0);
  constexpr std::int64_t kVocabulary = 256000;
  bench::Buffer x(DType::f32, {rows, kVocabulary});
  Exec exec;
  exec.threads = static_cast<int>(state.range(1));
  for (auto _ : state) {
    soft_cap(exec, {.x = x.view, .cap = 30});
  }
  bench::report_bytes(state, double(rows * kVocabulary) * 4 * 2);
}
BENCHMARK(soft_cap_logits)
    ->ArgNames({"rows", "threads"})
    ->ArgsProduct({{1, 8}, {1, 2}})
    ->UseRealTime();

}  // namespace
}  // namespace tutti
