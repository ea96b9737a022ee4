#include "kernels/sample_slots.hpp"
#include "tests/bench/bench_buffers.hpp"
#include "tests/kernels/slots_batch.hpp"

namespace tutti {
namespace {

void sample_slots_of(benchmark::State& state) {
  testing::SlotsBatch batch(state.range(0), 1);
  testing::SlotsBatch::Tallies tallied;
  for (std::int32_t id = 0; id < state.range(1); ++id) {
    tallied.emplace_back(id, kTallyPrompt);
  }
  batch.add(0, tallied, {});
  const Exec exec;
  for (auto _ : state) {
    sample_slots(exec, batch.args());
  }
  bench::report_bytes(state, double(batch.tallies.size()) * 4);
}
BENCHMARK(sample_slots_of)->Args({32000, 500})->Args({128256, 4000});

}  // namespace
}  // namespace tutti
