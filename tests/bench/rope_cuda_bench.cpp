#include "kernels/rope.hpp"
#include "tests/bench/device_main.hpp"

namespace tutti {
namespace {

// Heads of llama-2-7b and of half a llama-2-70b.
void run(bench::DeviceBench& bench) {
  constexpr std::int64_t kHeadDim = 128;
  constexpr std::int64_t kPageSize = 16;
  for (const auto& [q_heads, kv_heads] : {std::pair{32, 32}, {32, 4}}) {
    const std::int64_t width = (q_heads + 2 * kv_heads) * kHeadDim;
    const testing::GpuArray inv_freq = bench.random(DType::f32, {kHeadDim / 2}, 1);
    for (const std::int64_t tokens : {1, 16, 512}) {
      std::vector<std::int32_t> numbers;
      for (std::int64_t t = 0; t < tokens; ++t) {
        numbers.push_back(static_cast<std::int32_t>(t));
      }
      const testing::GpuArray places = testing::to_gpu(bench.device(), {tokens}, numbers);
      const testing::GpuArray qkv = bench.random(DType::bf16, {tokens, width}, 2);
      const std::int64_t pages = tokens / kPageSize + 1;
      const testing::GpuArray k =
          testing::gpu_array(bench.device(), DType::bf16, {pages, kv_heads, kPageSize, kHeadDim});
      const testing::GpuArray v =
          testing::gpu_array(bench.device(), DType::bf16, {pages, kv_heads, kPageSize, kHeadDim});
      const double us = bench.microseconds(32, [&](int) {
        rope_append(bench.exec(), {.qkv = qkv.view,
                                   .positions = places.view,
                                   .slots = places.view,
                                   .inv_freq = inv_freq.view,
                                   .q_heads = q_heads,
                                   .kv_heads = kv_heads,
                                   .head_dim = static_cast<int>(kHeadDim),
                                   .k_pages = k.view,
                                   .v_pages = v.view});
      });
      bench.print_bytes(
          fmt::format("rope_append bf16 {} tokens, {}/{} heads", tokens, q_heads, kv_heads),
          static_cast<double>(tokens * width) * 4, us);
    }
  }
}

}  // namespace
}  // namespace tutti

int main() {
  return tutti::bench::with_gpu(tutti::run);
}
