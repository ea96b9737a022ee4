// Attention on a GPU with the heads of Llama-2-7B, Llama-3-8B and half of a 70B: decoding in GB/s
// of keys and values, prompts in TFLOP/s of causal work.
#include <cmath>

#include "kernels/attention.hpp"
#include "kernels/gemm.hpp"
#include "tests/bench/device_bench.hpp"

namespace tutti {
namespace {

constexpr std::int64_t kPageSize = 16;
constexpr std::int64_t kHeadDim = 128;

struct Heads {
  const char* name;
  int q_heads;
  int kv_heads;
};

// A step of `sequences` with `queries` tokens each. Copies of the pages lie side by side, so that
// none is found in a cache; pages are dealt out scattered.
class Step {
 public:
  Step(bench::DeviceBench& bench, Heads heads, int sequences, int queries, int context, int copies)
      : blocks_((context + kPageSize - 1) / kPageSize), sequences_(sequences), copies_(copies) {
    Device& device = bench.device();
    const std::int64_t tokens = std::int64_t{sequences} * queries;
    const std::int64_t pages = sequences * blocks_ * copies;
    const std::int64_t width = heads.q_heads * kHeadDim;
    q_ = bench.random(DType::bf16, {tokens, width}, 1);
    y_ = testing::gpu_array(device, DType::bf16, {tokens, width});
    k_ = bench.random(DType::bf16, {pages, heads.kv_heads, kPageSize, kHeadDim}, 2);
    v_ = bench.random(DType::bf16, {pages, heads.kv_heads, kPageSize, kHeadDim}, 3);
    std::vector<std::int32_t> begin;
    std::vector<std::int32_t> table;
    for (int s = 0; s <= sequences; ++s) {
      begin.push_back(s * queries);
    }
    for (std::int64_t i = 0; i < pages; ++i) {
      table.push_back(static_cast<std::int32_t>(i * 7919 % pages));  // 7919 is prime
    }
    begin_ = testing::to_gpu(device, {sequences + 1}, begin);
    context_ = testing::to_gpu(device, {sequences},
                               std::vector<std::int32_t>(static_cast<std::size_t>(sequences),
                                                         static_cast<std::int32_t>(context)));
    table_ = testing::to_gpu(device, {std::int64_t{copies} * sequences, blocks_}, table);
    std::vector<std::int32_t> map;
    for (int h = 0; h < heads.q_heads; ++h) {
      map.push_back(h * heads.kv_heads / heads.q_heads);
    }
    map_ = testing::to_gpu(device, {heads.q_heads}, map);
    args_ = {.q = q_.view,
             .k_pages = k_.view,
             .v_pages = v_.view,
             .query_begin = begin_.view,
             .context_length = context_.view,
             .kv_of_q = map_.view,
             .head_dim = kHeadDim,
             .scale = 1.0f / std::sqrt(static_cast<float>(kHeadDim)),
             .most_queries = queries,
             .most_context = context,
             .y = y_.view};
  }

  int copies() const { return copies_; }
  AttentionArgs args(int copy) const {
    AttentionArgs args = args_;
    args.block_table = table_.view.row_slice(
        {std::int64_t{copy} * sequences_, (std::int64_t{copy} + 1) * sequences_});
    return args;
  }

 private:
  std::int64_t blocks_;
  int sequences_;
  int copies_;
  testing::GpuArray q_, k_, v_, y_, begin_, context_, table_, map_;
  AttentionArgs args_;
};

void decode(bench::DeviceBench& bench, Heads heads) {
  for (const int batch : {1, 16, 64}) {
    for (const int context : {128, 512, 2048, 8192}) {
      const double bytes = 4.0 * batch * context * heads.kv_heads * kHeadDim;
      const int copies = bench::DeviceBench::copies_of(static_cast<std::size_t>(bytes));
      if (bytes * copies > 40e9) {
        fmt::print("{} decode, batch {}, context {}: more memory than this is given\n", heads.name,
                   batch, context);
        continue;
      }
      const Step step(bench, heads, batch, 1, context, copies);
      const double us =
          bench.microseconds(step.copies(), [&](int i) { attention(bench.exec(), step.args(i)); });
      bench.print_bytes(fmt::format("{} decode, batch {}, context {}", heads.name, batch, context),
                        bytes, us);
    }
  }
}

// What windows and soft caps cost: bytes are those within the window.
void decode_with_extras(bench::DeviceBench& bench) {
  constexpr Heads kHeads = {"8B", 32, 8};
  constexpr int kContext = 8192;
  for (const int batch : {1, 16}) {
    for (const auto& [window, softcap] : {std::pair{0, 50.0f}, {4096, 0.0f}, {1024, 50.0f}}) {
      const int attended = window > 0 ? window : kContext;
      const double bytes = 4.0 * batch * attended * kHeads.kv_heads * kHeadDim;
      const int copies = bench::DeviceBench::copies_of(static_cast<std::size_t>(bytes));
      const Step step(bench, kHeads, batch, 1, kContext, copies);
      const double us = bench.microseconds(step.copies(), [&, w = window, cap = softcap](int i) {
        AttentionArgs args = step.args(i);
        args.window = w;
        args.softcap = cap;
        attention(bench.exec(), args);
      });
      bench.print_bytes(fmt::format("{} decode, batch {}, context {}, window {}, soft cap {}",
                                    kHeads.name, batch, kContext, window, softcap),
                        bytes, us);
    }
  }
}

// FLOP/s of a plain product of the library, 4096^3.
double product_rate(bench::DeviceBench& bench) {
  constexpr std::int64_t kSize = 4096;
  const testing::GpuArray x = bench.random(DType::bf16, {kSize, kSize}, 4);
  const testing::GpuArray weight = bench.random(DType::bf16, {kSize, kSize}, 5);
  const testing::GpuArray y = testing::gpu_array(bench.device(), DType::bf16, {kSize, kSize});
  const double us = bench.microseconds(
      8, [&](int) { gemm(bench.exec(), {.x = x.view, .weight = {weight.view}, .y = y.view}); });
  return 2e6 * kSize * kSize * kSize / us;
}

void prefill(bench::DeviceBench& bench, Heads heads, double ceiling) {
  const auto measure = [&](int queries, int context) {
    const Step step(bench, heads, 1, queries, context, 1);
    const double us = bench.microseconds(4, [&](int) { attention(bench.exec(), step.args(0)); });
    const double pairs = static_cast<double>(queries) * (context - (queries - 1) / 2.0);
    bench.print_flops(fmt::format("{} prefill, {} tokens of {}", heads.name, queries, context),
                      4 * pairs * heads.q_heads * kHeadDim, us, ceiling);
  };
  for (const int tokens : {512, 2048, 4096, 8192}) {
    measure(tokens, tokens);
  }
  measure(512, 8192);
}

void run() {
  testing::Gpu gpu = testing::Gpu::open();
  if (!gpu.device) {
    fmt::print("{}\n", gpu.why_not);
    return;
  }
  fmt::print("{}\n", gpu.device->name());
  bench::DeviceBench bench(*gpu.device);
  const Heads all[] = {{"7B", 32, 32}, {"8B", 32, 8}, {"70B/2", 32, 4}};
  for (const Heads& heads : all) {
    decode(bench, heads);
  }
  decode_with_extras(bench);
  const double ceiling = product_rate(bench);
  fmt::print("product of 4096^3: {:.1f} TFLOP/s\n", ceiling * 1e-12);
  for (const Heads& heads : all) {
    prefill(bench, heads, ceiling);
  }
}

}  // namespace
}  // namespace tutti

int main() {
  try {
    tutti::run();
  } catch (const tutti::Error& error) {
    fmt::print("{}\n", error.what());
    return 1;
  }
  return 0;
}
