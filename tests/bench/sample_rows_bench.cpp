#include "kernels/sample_rows.hpp"
#include "tests/bench/bench_buffers.hpp"
#include "tests/kernels/sample_batch.hpp"

namespace tutti {
namespace {

void sample_rows_of(benchmark::State& state, SampleRowRule rule) {
  testing::SampleBatch batch(state.range(0), state.range(1), state.range(0));
  for (std::int32_t row = 0; row < batch.rows; ++row) {
    rule.slot = row;
    batch.rules[std::size_t(row)] = rule;
  }
  const Exec exec;
  for (auto _ : state) {
    sample_rows(exec, batch.args());
  }
  bench::report_bytes(state, double(batch.logits.size()) * 4);
}
BENCHMARK_CAPTURE(sample_rows_of, greedy, {.temperature = 0})->Args({1, 32000})->Args({4, 128256});
BENCHMARK_CAPTURE(sample_rows_of, plain, {})->Args({1, 32000});
BENCHMARK_CAPTURE(sample_rows_of, top_p, {.top_p = 0.9f})->Args({1, 32000});

}  // namespace
}  // namespace tutti
