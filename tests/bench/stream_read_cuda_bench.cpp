#include "kernels/stream_read.hpp"
#include "tests/bench/device_main.hpp"

namespace tutti {
namespace {

void run(bench::DeviceBench& bench) {
  const testing::GpuArray y = testing::gpu_array(bench.device(), DType::i32, {1});
  for (const std::int64_t mebibytes : {8, 32, 90, 512, 8192}) {
    const testing::GpuArray x =
        bench.random(DType::f32, {mebibytes << 18}, static_cast<std::uint64_t>(mebibytes));
    const int copies = mebibytes < 512 ? 8 : 1;  // the smaller ones partly from the cache
    const double us = bench.microseconds(
        copies, [&](int) { stream_read(bench.exec(), {.x = x.view, .y = y.view}); });
    bench.print_bytes(fmt::format("stream_read {} MiB", mebibytes),
                      static_cast<double>(x.view.bytes()), us);
  }
}

}  // namespace
}  // namespace tutti

int main() {
  return tutti::bench::with_gpu(tutti::run);
}
