#include "kernels/embedding.hpp"
#include "tests/bench/device_main.hpp"

namespace tutti {
namespace {

void run(bench::DeviceBench& bench) {
  for (const std::int64_t hidden : {4096, 8192}) {
    const std::int64_t vocabulary = 32000;
    const testing::GpuArray table = bench.random(DType::bf16, {vocabulary, hidden}, 1);
    for (const std::int64_t tokens : {1, 16, 512}) {
      std::vector<std::int32_t> ids;
      for (std::int64_t t = 0; t < tokens; ++t) {
        ids.push_back(static_cast<std::int32_t>(t * 7919 % vocabulary));
      }
      const testing::GpuArray gpu_ids = testing::to_gpu(bench.device(), {tokens}, ids);
      const testing::GpuArray y = testing::gpu_array(bench.device(), DType::f32, {tokens, hidden});
      const double us = bench.microseconds(32, [&](int) {
        embedding(bench.exec(), {.ids = gpu_ids.view, .table = {table.view}, .y = y.view});
      });
      bench.print_bytes(fmt::format("embedding bf16 -> f32 [{}, {}]", tokens, hidden),
                        static_cast<double>(tokens * hidden) * 6, us);
    }
  }
}

}  // namespace
}  // namespace tutti

int main() {
  return tutti::bench::with_gpu(tutti::run);
}
