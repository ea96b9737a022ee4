#include "kernels/sample.hpp"
#include "tests/bench/bench_buffers.hpp"

namespace tutti {
namespace {

void sample_row(benchmark::State& state, SampleRule rule) {
  const std::int64_t vocabulary = state.range(0);
  std::vector<float> logits = testing::random_floats(vocabulary, 1);
  for (float& logit : logits) {
    logit = 12 * logit * logit * logit;  // a few large ones, as a model has
  }
  for (auto _ : state) {
    benchmark::DoNotOptimize(sample(Exec{}, testing::view_of(logits, {vocabulary}), rule));
    ++rule.position;
  }
  bench::report_bytes(state, double(vocabulary) * 4);
}
BENCHMARK_CAPTURE(sample_row, greedy, {.temperature = 0})->Arg(49152)->Arg(128256);
BENCHMARK_CAPTURE(sample_row, plain, {})->Arg(49152)->Arg(128256);
BENCHMARK_CAPTURE(sample_row, top_k, {.top_k = 50})->Arg(49152)->Arg(128256);
BENCHMARK_CAPTURE(sample_row, top_p, {.top_p = 0.9f})->Arg(49152)->Arg(128256);

}  // namespace
}  // namespace tutti
