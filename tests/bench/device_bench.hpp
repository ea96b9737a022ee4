// Times device operations as they run in a graph, against ceilings measured in the same run.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <vector>

#include "kernels/fill_random.hpp"
#include "kernels/stream_read.hpp"
#include "runtime/device/replay_time.hpp"
#include "tests/support/gpu_fixture.hpp"

namespace tutti::bench {

class DeviceBench {
 public:
  explicit DeviceBench(Device& device) : device_(device) {}

  Device& device() { return device_; }
  Exec exec() const { return device_.exec(); }

  // Random numbers, never zeros: those run faster than real data.
  testing::GpuArray random(DType dtype, std::initializer_list<std::int64_t> shape,
                           std::uint64_t key) {
    testing::GpuArray array = testing::gpu_array(device_, dtype, shape);
    TensorView flat(array.view.data, dtype, Place::cuda, {array.view.elements()});
    fill_random(exec(), {.key = key, .scale = 0.05f, .y = flat});
    device_.synchronize();
    return array;
  }

  // How many copies of `bytes` outgrow the second-level cache (50-60 MB) far enough.
  static int copies_of(std::size_t bytes) {
    return static_cast<int>(
        std::clamp<std::size_t>(1'000'000'000 / std::max<std::size_t>(bytes, 1), 4, 64));
  }

  // Median of 15 replays of a graph of `copies` calls, per call. run(i) works on the i-th copy.
  double microseconds(int copies, const std::function<void(int)>& run) {
    const double seconds = replay_seconds(device_, 15, [&] {
      for (int i = 0; i < copies; ++i) {
        run(i);
      }
    });
    return 1e6 * seconds / copies;
  }

  // Bytes a second that plain reading of 4 GiB reaches here, measured once.
  double read_ceiling() {
    if (read_ceiling_ == 0) {
      testing::GpuArray big = random(DType::f32, {std::int64_t{1} << 30}, 7);
      testing::GpuArray sum = testing::gpu_array(device_, DType::i32, {1});
      const double us =
          microseconds(1, [&](int) { stream_read(exec(), {.x = big.view, .y = sum.view}); });
      read_ceiling_ = static_cast<double>(big.view.bytes()) / us * 1e6;
    }
    return read_ceiling_;
  }

  void print_bytes(const std::string& what, double bytes, double us) {
    fmt::print("{:<44} {:>9.2f} us {:>8.1f} GB/s {:>5.1f} % of reading\n", what, us,
               bytes / us * 1e-3, 100 * bytes / us * 1e6 / read_ceiling());
    std::fflush(stdout);
  }
  void print_flops(const std::string& what, double flops, double us, double ceiling_flops) {
    fmt::print("{:<44} {:>9.2f} us {:>8.1f} TFLOP/s {:>5.1f} % of the library's product\n", what,
               us, flops / us * 1e-6, 100 * flops / us * 1e6 / ceiling_flops);
    std::fflush(stdout);
  }

 private:
  Device& device_;
  double read_ceiling_ = 0;
};

}  // namespace tutti::bench
