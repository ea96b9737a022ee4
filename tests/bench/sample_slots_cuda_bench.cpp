#include "kernels/sample_slots.hpp"
#include "tests/bench/device_main.hpp"
#include "tests/kernels/slots_batch.hpp"

namespace tutti {
namespace {

void run(bench::DeviceBench& bench) {
  for (const std::int32_t sequences : {1, 64}) {
    const std::int64_t vocabulary = 128256;
    testing::SlotsBatch batch(vocabulary, sequences);
    testing::SlotsBatch::Tallies tallied;
    for (std::int32_t id = 0; id < 2000; ++id) {
      tallied.emplace_back(id * 31, kTallyPrompt);
    }
    for (std::int32_t slot = 0; slot < sequences; ++slot) {
      batch.add(slot, tallied, {{1, 1.0f}});
    }
    Device& device = bench.device();
    const testing::GpuArray entries =
        testing::to_gpu(device, DType::i32, {sequences, kSampleSlotWords},
                        static_cast<const void*>(batch.entries.data()));
    const testing::GpuArray pairs =
        testing::to_gpu(device, {std::ssize(batch.pairs) / 2, 2}, batch.pairs);
    const testing::GpuArray tallies =
        testing::to_gpu(device, {sequences, batch.words}, batch.tallies);
    const testing::GpuArray biases =
        testing::to_gpu(device, {sequences, kSampleMostBiases, 2}, batch.biases);
    const double us = bench.microseconds(8, [&](int) {
      sample_slots(bench.exec(), {.entries = entries.view,
                                  .pairs = pairs.view,
                                  .tallies = tallies.view,
                                  .biases = biases.view});
    });
    bench.print_bytes(fmt::format("sample_slots [{}, {}]", sequences, vocabulary),
                      static_cast<double>(batch.tallies.size()) * 4, us);
  }
}

}  // namespace
}  // namespace tutti

int main() {
  return tutti::bench::with_gpu(tutti::run);
}
