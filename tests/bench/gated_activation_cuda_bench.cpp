#include "kernels/gated_activation.hpp"
#include "tests/bench/device_main.hpp"

namespace tutti {
namespace {

void run(bench::DeviceBench& bench) {
  for (const std::int64_t columns : {11008, 14336}) {
    for (const std::int64_t tokens : {1, 16, 512}) {
      const testing::GpuArray gate_up = bench.random(DType::bf16, {tokens, 2 * columns}, 1);
      const testing::GpuArray y = bench.random(DType::bf16, {tokens, columns}, 2);
      const double us = bench.microseconds(
          32, [&](int) { gated_activation(bench.exec(), {.gate_up = gate_up.view, .y = y.view}); });
      bench.print_bytes(fmt::format("gated_activation bf16 [{}, {}]", tokens, columns),
                        static_cast<double>(tokens * columns) * 6, us);
    }
  }
}

}  // namespace
}  // namespace tutti

int main() {
  return tutti::bench::with_gpu(tutti::run);
}
