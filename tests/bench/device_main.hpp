// The main() of a benchmark on a device: 77 with the reason where there is none.
#pragma once

#include "tests/bench/device_bench.hpp"

namespace tutti::bench {

template <typename Run>
int with_gpu(const Run& run) {
  testing::Gpu gpu = testing::Gpu::open();
  if (!gpu.device) {
    fmt::print("no GPU: {}\n", gpu.why_not);
    return 77;
  }
  DeviceBench bench(*gpu.device);
  run(bench);
  return 0;
}

}  // namespace tutti::bench
