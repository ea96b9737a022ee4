// Products on a device: GB/s of weights where tokens are few, TFLOP/s where they are many, the
// vendor's library beside them; and a chain of a whole 7B model's products.
//
//     gemm_cuda_bench [few] [many] [chain] [sweep]     default: few many chain
#include <memory>
#include <set>
#include <string>

#include "kernels/device_ops.hpp"
#include "kernels/gated_gemm.hpp"
#include "kernels/gemm.hpp"
#include "tests/bench/device_bench.hpp"
#include "tests/bench/gemm_shapes.hpp"

namespace tutti::bench {
namespace {

using testing::gpu_array;
using testing::GpuArray;

constexpr GemmTuning kLibrary{.library_only = true};

double time_product(DeviceBench& bench, const GpuArray& weights, const WeightShape& shape,
                    std::int64_t tokens, int copies) {
  const GpuArray x = bench.random(DType::bf16, {tokens, shape.in}, 2);
  const GpuArray y = gpu_array(bench.device(), DType::bf16, {tokens, shape.out});
  return bench.microseconds(copies, [&](int copy) {
    gemm(bench.exec(),
         {.x = x.view,
          .weight = {weights.view.row_slice({copy * shape.out, (copy + 1) * shape.out})},
          .y = y.view});
  });
}

void few_tokens(DeviceBench& bench) {
  fmt::print("Few tokens, bf16, back to back in a graph; bytes: the weights'\n");
  print_few_tokens(bench, kProducts,
                   [&](const auto&... what) { return time_product(bench, what...); });
}

void many_tokens(DeviceBench& bench) {
  fmt::print("Many tokens, bf16: the library, its algorithm timed at first use\n");
  for (const WeightShape& shape : kProducts) {
    const GpuArray weights = bench.random(DType::bf16, {4 * shape.out, shape.in}, 1);
    for (const std::int64_t tokens : {17, 64, 512, 2048, 4096}) {
      const double us = time_product(bench, weights, shape, tokens, 4);
      const double flops = 2.0 * double(shape.out) * double(shape.in) * double(tokens);
      fmt::print("{:<44} {:>9.2f} us {:>8.1f} TFLOP/s\n",
                 fmt::format("{} [{}, {}] M {}", shape.name, shape.out, shape.in, tokens), us,
                 flops / us * 1e-6);
      std::fflush(stdout);
    }
  }
}

// The products of a 7B model's layers, one after the other, each layer with weights of its own.
class Chain {
 public:
  static constexpr int kLayers = 32;
  static constexpr std::int64_t kHidden = 4096;
  static constexpr std::int64_t kColumns = 11008;

  explicit Chain(DeviceBench& bench) : bench_(bench) {
    for (int i = 0; i < kLayers; ++i) {
      const auto key = static_cast<std::uint64_t>(100 + 4 * i);
      layers_.push_back({.qkv = bench.random(DType::bf16, {3 * kHidden, kHidden}, key),
                         .o = bench.random(DType::bf16, {kHidden, kHidden}, key + 1),
                         .gate_up = bench.random(DType::bf16, {2 * kColumns, kHidden}, key + 2),
                         .down = bench.random(DType::bf16, {kHidden, kColumns}, key + 3)});
    }
  }

  void measure(const std::string& name, std::int64_t tokens) {
    const GpuArray x = bench_.random(DType::bf16, {tokens, kHidden}, 1);
    const GpuArray qkv = gpu_array(bench_.device(), DType::bf16, {tokens, 3 * kHidden});
    const GpuArray gate_up = gpu_array(bench_.device(), DType::bf16, {tokens, 2 * kColumns});
    const GpuArray gated = gpu_array(bench_.device(), DType::bf16, {tokens, kColumns});
    const Exec exec = bench_.exec();
    const double us = bench_.microseconds(1, [&](int) {
      for (const Layer& layer : layers_) {
        gemm(exec, {.x = x.view, .weight = {layer.qkv.view}, .y = qkv.view});
        gemm(exec,
             {.x = qkv.view.column_slice({0, kHidden}), .weight = {layer.o.view}, .y = x.view});
        gated_gemm(exec, {.x = x.view,
                          .weight = {layer.gate_up.view},
                          .gate_up = gate_up.view,
                          .y = gated.view});
        gemm(exec, {.x = gated.view, .weight = {layer.down.view}, .y = x.view});
      }
    });
    const double bytes = 2.0 * kLayers * (4 * kHidden * kHidden + 3 * kColumns * kHidden);
    bench_.print_bytes(name, bytes, us);
  }

 private:
  struct Layer {
    GpuArray qkv, o, gate_up, down;
  };
  DeviceBench& bench_;
  std::vector<Layer> layers_;
};

void chain(DeviceBench& bench, bool sweep) {
  fmt::print("32 x (qkv, o, gate_up with its gate, down) of a 7B, bf16, in one graph\n");
  Chain products(bench);
  DeviceOps& ops = *bench.exec().ops;
  for (const std::int64_t tokens : {1, 8, 16}) {
    products.measure(fmt::format("chain M {}", tokens), tokens);
    ops.tune({.dependent_launch = false});
    products.measure(fmt::format("chain M {} without dependent launch", tokens), tokens);
    ops.tune(kLibrary);
    products.measure(fmt::format("chain M {} library", tokens), tokens);
    ops.tune({});
  }
  if (!sweep) {
    return;
  }
  for (const std::int64_t tokens : {1, 8, 16}) {
    for (const int release : {0, 3, 24, 1 << 20}) {
      for (const std::int64_t prefetch : {0, 16 << 10, 32 << 10, 64 << 10}) {
        ops.tune({.release_ahead = release, .prefetch_bytes = prefetch});
        products.measure(
            fmt::format("chain M {} release {} prefetch {} KiB", tokens, release, prefetch >> 10),
            tokens);
      }
    }
  }
  ops.tune({});
}

int run(const std::set<std::string>& wanted) {
  const testing::Gpu gpu = testing::Gpu::open();
  if (!gpu.device) {
    fmt::print("{}\n", gpu.why_not);
    return 0;
  }
  DeviceBench bench(*gpu.device);
  fmt::print("{}: reading {:.0f} GB/s\n", gpu.device->name(), bench.read_ceiling() * 1e-9);
  const auto has = [&](const char* part) { return wanted.empty() || wanted.contains(part); };
  if (has("few")) {
    few_tokens(bench);
  }
  if (has("many")) {
    many_tokens(bench);
  }
  if (has("chain") || wanted.contains("sweep")) {
    chain(bench, wanted.contains("sweep"));
  }
  return 0;
}

}  // namespace
}  // namespace tutti::bench

int main(int argc, char** argv) {
  return tutti::bench::run({argv + 1, argv + argc});
}
