// Buffers and counters for the benchmarks of single operations.
#pragma once

#include <benchmark/benchmark.h>

#include <chrono>
#include <cstdint>
#include <vector>

#include "kernels/exec.hpp"
#include "kernels/weight.hpp"
#include "tests/kernels/kernel_fixture.hpp"

namespace tutti::bench {

// Memory with mapped pages, filled with small numbers that are valid in every dtype.
struct Buffer {
  Buffer(DType dtype, std::initializer_list<std::int64_t> shape)
      : view(nullptr, dtype, Place::host, shape), bytes(view.bytes()) {
    const std::uint16_t one = dtype == DType::f16 ? 0x3c00 : 0x3f80;
    for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) {
      const bool low_half = dtype == DType::f32 && i % 4 == 0;
      const std::uint16_t bits = low_half ? 0 : static_cast<std::uint16_t>(one + i % 61);
      bytes[i] = static_cast<std::byte>(bits & 0xff);
      bytes[i + 1] = static_cast<std::byte>(bits >> 8);
    }
    view.data = bytes.data();
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  TensorView view;
  std::vector<std::byte> bytes;
};

inline void report_bytes(benchmark::State& state, double bytes) {
  state.counters["GB/s"] =
      benchmark::Counter(bytes * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

inline void report_flops(benchmark::State& state, double flops) {
  state.counters["GFLOP/s"] =
      benchmark::Counter(flops * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

}  // namespace tutti::bench
