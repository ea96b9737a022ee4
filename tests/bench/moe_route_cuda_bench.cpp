// The router of Qwen3-30B-A3B and of Mixtral 8x7B as a step calls it: bound by latency, so that
// microseconds are what counts.
#include "kernels/moe_route.hpp"
#include "tests/bench/device_main.hpp"
#include "tests/kernels/moe_gpu.hpp"

namespace tutti {
namespace {

void run_shape(bench::DeviceBench& bench, const char* name, std::int64_t experts, int top_k) {
  for (const std::int64_t tokens : {1, 16, 512}) {
    const testing::GpuArray logits = bench.random(DType::f32, {tokens, experts}, 1);
    const testing::GpuArray ids = testing::poisoned(bench.device(), DType::i32, {tokens, top_k});
    const testing::GpuArray weights =
        testing::poisoned(bench.device(), DType::f32, {tokens, top_k});
    const testing::GpuGroups lists(bench.device(), tokens, top_k, experts);
    const double us = bench.microseconds(64, [&](int) {
      moe_route_and_group(bench.exec(),
                          {.logits = logits.view, .ids = ids.view, .weights = weights.view}, 0,
                          lists.groups());
    });
    bench.print_bytes(fmt::format("{} route and group, {} tokens", name, tokens),
                      static_cast<double>(logits.view.bytes()), us);
  }
}

void run(bench::DeviceBench& bench) {
  run_shape(bench, "qwen3-30b-a3b", 128, 8);
  run_shape(bench, "mixtral-8x7b", 8, 2);
}

}  // namespace
}  // namespace tutti

int main() {
  return tutti::bench::with_gpu(tutti::run);
}
