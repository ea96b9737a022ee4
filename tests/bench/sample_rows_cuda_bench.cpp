#include "kernels/sample_rows.hpp"
#include "tests/bench/device_main.hpp"
#include "tests/kernels/sample_batch.hpp"

namespace tutti {
namespace {

struct Named {
  const char* name;
  SampleRowRule rule;
};

void run_rule(bench::DeviceBench& bench, std::int64_t rows, std::int64_t vocabulary,
              const Named& named) {
  testing::SampleBatch batch(rows, vocabulary, rows);
  for (std::int32_t row = 0; row < rows; ++row) {
    batch.rules[std::size_t(row)] = named.rule;
    batch.rules[std::size_t(row)].slot = row;
    batch.rules[std::size_t(row)].position = std::uint64_t(row);
  }
  Device& device = bench.device();
  const testing::GpuArray logits =
      testing::to_gpu(device, DType::f32, {rows, vocabulary}, batch.logits);
  const testing::GpuArray rules = testing::to_gpu(device, DType::i32, {rows, kSampleRuleWords},
                                                  static_cast<const void*>(batch.rules.data()));
  const testing::GpuArray tallies = testing::to_gpu(device, {rows, batch.words()}, batch.tallies);
  for (std::int32_t row = 0; row < rows; ++row) {
    batch.set_biases(row, {{row, 1.0f}}, {row + 1});
  }
  const testing::GpuArray biases =
      testing::to_gpu(device, {rows, kSampleMostBiases, 2}, batch.biases);
  const testing::GpuArray ids = testing::to_gpu(device, {rows}, batch.ids);
  const testing::GpuArray last = testing::to_gpu(device, {rows}, batch.last);
  const double us = bench.microseconds(8, [&](int) {
    sample_rows(bench.exec(), {.logits = logits.view,
                               .rules = rules.view,
                               .tallies = tallies.view,
                               .biases = biases.view,
                               .ids = ids.view,
                               .last = last.view});
  });
  bench.print_bytes(fmt::format("sample_rows {} [{}, {}]", named.name, rows, vocabulary),
                    static_cast<double>(rows * vocabulary) * 4, us);
}

void run(bench::DeviceBench& bench) {
  for (const std::int64_t vocabulary : {32000, 128256}) {
    for (const std::int64_t rows : {1, 16, 512}) {
      for (const Named& named :
           {Named{"greedy", {.temperature = 0}}, Named{"plain", {}},
            Named{"greedy, presence", {.temperature = 0, .presence_penalty = 1.15f}},
            Named{"greedy, bias and ban", {.temperature = 0, .biases = 1, .bans = 1}},
            Named{"top_k 50", {.temperature = 0.8f, .top_k = 50}},
            Named{"top_p 0.9", {.temperature = 0.8f, .top_p = 0.9f}},
            Named{"top_k 50, top_p 0.9", {.temperature = 0.8f, .top_p = 0.9f, .top_k = 50}}}) {
        run_rule(bench, rows, vocabulary, named);
      }
    }
  }
}

}  // namespace
}  // namespace tutti

int main() {
  return tutti::bench::with_gpu(tutti::run);
}
