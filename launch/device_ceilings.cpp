#include "launch/device_ceilings.hpp"

#include <algorithm>

#include "kernels/fill_random.hpp"
#include "kernels/gemm.hpp"
#include "kernels/stream_read.hpp"
#include "runtime/device/replay_time.hpp"
#include "runtime/tensor/tensor.hpp"

namespace tutti {
namespace {

constexpr std::size_t kMostBytes = std::size_t{4} << 30;
constexpr int kReadRepeats = 9;

// Never zeros: those multiply faster than numbers do.
Tensor random_tensor(Device& device, DType dtype, std::int64_t rows, std::int64_t columns,
                     std::uint64_t key) {
  Tensor tensor(device, dtype, {rows, columns}, "a benchmark's numbers");
  fill_random(device.exec(), {.key = key, .scale = 0.05f, .y = tensor.view()});
  return tensor;
}

}  // namespace

double device_read_bandwidth(Device& device) {
  const std::size_t bytes =
      std::min(kMostBytes, device.memory().free_bytes / 2) & ~std::size_t{255};
  const Tensor big =
      random_tensor(device, DType::f32, static_cast<std::int64_t>(bytes / 1024), 256, 7);
  const Tensor sum(device, DType::i32, {1}, "a sum");
  const double seconds = replay_seconds(device, kReadRepeats, [&] {
    stream_read(device.exec(), {.x = big.view(), .y = sum.view()});
  });
  return static_cast<double>(big.bytes()) / seconds;
}

double device_gemm_seconds(Device& device, DType dtype, std::int64_t tokens, std::int64_t in,
                           std::int64_t out, int repeats) {
  constexpr int kCopies = 4;
  const Tensor x = random_tensor(device, dtype, tokens, in, 1);
  const Tensor y = random_tensor(device, dtype, tokens, out, 2);
  const Tensor weights = random_tensor(device, dtype, kCopies * out, in, 3);
  const double seconds = replay_seconds(device, repeats, [&] {
    for (int i = 0; i < kCopies; ++i) {
      gemm(device.exec(), {.x = x.view(),
                           .weight = {weights.view().row_slice({i * out, (i + 1) * out})},
                           .bias = {},
                           .y = y.view()});
    }
  });
  return seconds / kCopies;
}

}  // namespace tutti
