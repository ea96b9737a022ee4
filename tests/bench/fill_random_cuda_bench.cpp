#include "kernels/fill_random.hpp"
#include "tests/bench/device_main.hpp"

namespace tutti {
namespace {

void run(bench::DeviceBench& bench) {
  for (const DType dtype : {DType::bf16, DType::f16, DType::f32}) {
    for (const bool transposed : {false, true}) {
      const testing::GpuArray y = testing::gpu_array(bench.device(), dtype, {28672, 8192});
      const double us = bench.microseconds(1, [&](int) {
        fill_random(bench.exec(),
                    {.key = 1, .scale = 0.02f, .transposed = transposed, .y = y.view});
      });
      bench.print_bytes(fmt::format("fill_random {} [28672, 8192]{}", name_of(dtype),
                                    transposed ? " transposed" : ""),
                        static_cast<double>(y.view.bytes()), us);
    }
  }
}

}  // namespace
}  // namespace tutti

int main() {
  return tutti::bench::with_gpu(tutti::run);
}
