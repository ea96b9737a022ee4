// Matrix products: GB/s of weights where tokens are few, GFLOP/s where they are many, beside what
// the memory (a plain sum over a large buffer) and OpenBLAS reach.
#include <cblas.h>

#include "kernels/gemm.hpp"
#include "kernels/simd.hpp"
#include "tests/bench/bench_buffers.hpp"

namespace tutti {
namespace {

constexpr std::int64_t kBeyondCaches = std::int64_t{400} << 20;

// *total = the sum of n floats: nothing but reading.
struct Sum {
  template <int W>
  static TUTTI_INLINE void run(const float* from, std::int64_t n, float* total) {
    simd::F32<W> sum[8] = {};
    for (std::int64_t i = 0; i + 8 * W <= n; i += 8 * W) {
      for (int u = 0; u < 8; ++u) {
        simd::F32<W> v;
        simd::load(v, from + i + u * W);
        sum[u] += v;
      }
    }
    *total = simd::sum_lanes<W>(((sum[0] + sum[1]) + (sum[2] + sum[3])) +
                                ((sum[4] + sum[5]) + (sum[6] + sum[7])));
  }
};

void read_bandwidth(benchmark::State& state) {
  [[maybe_unused]] const auto threads = static_cast<int>(state.range(0));
  bench::Buffer buffer(DType::f32, {kBeyondCaches / 4});
  const auto* data = static_cast<const float*>(buffer.view.data);
  const std::int64_t part = kBeyondCaches / 4 / threads;
  for (auto _ : state) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int t = 0; t < threads; ++t) {
      float total = 0;
      multiversion<Sum>(data + t * part, part, &total);
      benchmark::DoNotOptimize(total);
    }
  }
  bench::report_bytes(state, double(kBeyondCaches));
}
BENCHMARK(read_bandwidth)->ArgName("threads")->Arg(1)->Arg(2)->UseRealTime();

// Enough copies of the weight that none is found in a cache again, as in a whole model.
void few_tokens(benchmark::State& state) {
  const auto dtype = static_cast<DType>(state.range(0));
  const std::int64_t tokens = state.range(1);
  const std::int64_t in = state.range(2);
  const std::int64_t out = state.range(3);
  const std::int64_t copies = 1 + kBeyondCaches / (in * out * std::int64_t(size_of(dtype)));
  bench::Buffer weights(dtype, {copies * out, in});
  bench::Buffer x(DType::f32, {tokens, in});
  bench::Buffer y(DType::f32, {tokens, out});
  Exec exec;
  exec.threads = static_cast<int>(state.range(4));
  std::vector<std::byte> scratch(gemm_scratch_bytes(in, exec.threads));
  exec.scratch = {.data = scratch.data(), .bytes = scratch.size()};
  std::int64_t copy = 0;
  for (auto _ : state) {
    gemm(exec, {.x = x.view,
                .weight = {weights.view.row_slice({copy * out, (copy + 1) * out})},
                .y = y.view});
    copy = (copy + 1) % copies;
  }
  bench::report_bytes(state, double(in * out) * double(size_of(dtype)));
  bench::report_flops(state, 2.0 * double(in * out * tokens));
}

void many_tokens(benchmark::State& state) {
  const auto dtype = static_cast<DType>(state.range(0));
  const std::int64_t tokens = state.range(1);
  const std::int64_t in = state.range(2);
  const std::int64_t out = state.range(3);
  bench::Buffer weights(dtype, {out, in});
  bench::Buffer x(DType::f32, {tokens, in});
  bench::Buffer y(DType::f32, {tokens, out});
  Exec exec;
  exec.threads = static_cast<int>(state.range(4));
  std::vector<std::byte> scratch(gemm_scratch_bytes(in, exec.threads));
  exec.scratch = {.data = scratch.data(), .bytes = scratch.size()};
  for (auto _ : state) {
    gemm(exec, {.x = x.view, .weight = {weights.view}, .y = y.view});
  }
  bench::report_flops(state, 2.0 * double(in * out * tokens));
}

void openblas(benchmark::State& state) {
  const std::int64_t tokens = state.range(1);
  const std::int64_t in = state.range(2);
  const std::int64_t out = state.range(3);
  bench::Buffer weights(DType::f32, {out, in});
  bench::Buffer x(DType::f32, {tokens, in});
  bench::Buffer y(DType::f32, {tokens, out});
  openblas_set_num_threads(static_cast<int>(state.range(4)));
  for (auto _ : state) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, blasint(tokens), blasint(out), blasint(in),
                1.0f, x.view.row<float>(0), blasint(in), weights.view.row<float>(0), blasint(in),
                0.0f, y.view.row<float>(0), blasint(out));
  }
  bench::report_flops(state, 2.0 * double(in * out * tokens));
}

const std::vector<std::pair<std::int64_t, std::int64_t>> kShapes = {
    {576, 576}, {576, 960}, {576, 3072}, {1536, 576}, {576, 49152}, {4096, 12288}, {11008, 4096}};

void decode_shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"dtype", "tokens", "in", "out", "threads"})->UseRealTime();
  for (DType dtype : {DType::bf16, DType::f16, DType::f32}) {
    for (const auto& [in, out] : kShapes) {
      for (std::int64_t tokens : {1, 2, 4, 8, 16}) {
        if (tokens == 1 || dtype == DType::bf16) {
          b->Args({std::int64_t(dtype), tokens, in, out, 1});
          b->Args({std::int64_t(dtype), tokens, in, out, 2});
        }
      }
    }
  }
}
BENCHMARK(few_tokens)->Apply(decode_shapes);

void prefill_shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"dtype", "tokens", "in", "out", "threads"})->UseRealTime();
  for (const auto& [in, out] : kShapes) {
    for (std::int64_t tokens : {16, 32, 128, 512}) {
      if (out < 49152) {
        b->Args({std::int64_t(DType::bf16), tokens, in, out, 1});
        b->Args({std::int64_t(DType::bf16), tokens, in, out, 2});
      }
    }
  }
}
BENCHMARK(many_tokens)->Apply(prefill_shapes);
BENCHMARK(openblas)->Apply(prefill_shapes);

}  // namespace
}  // namespace tutti
