#include "kernels/gemm.hpp"

#include <algorithm>

#include "kernels/check.hpp"
#include "kernels/device_ops.hpp"
#include "kernels/simd.hpp"

namespace tutti {
namespace {

// From here on the weights are widened once into a panel and used for every token; below, each
// element is widened on its way from memory (docs/decisions/0003).
constexpr std::int64_t kPanelTokens = 32;

// A panel stays in the second-level cache beside the activations.
constexpr std::int64_t kPanelBytes = 256 << 10;

std::int64_t panel_rows(std::int64_t in) {
  const std::int64_t rows = kPanelBytes / (std::max<std::int64_t>(in, 1) * 4);
  return std::clamp<std::int64_t>(rows / 8 * 8, 8, 256);
}

// Rows [begin, end) of the weight, for all tokens.
template <typename T>
struct Job {
  const float* x;
  std::int64_t x_stride;
  std::int64_t tokens;
  const T* weight;
  std::int64_t weight_stride;
  std::int64_t in;
  const float* bias;  // or null
  float* y;
  std::int64_t y_stride;
  std::int64_t begin;
  std::int64_t end;
};

// Each output element is one vector accumulator over i = lane, lane + W, …, its lanes summed by
// halves: however rows and tokens are tiled, its bits are the same.
template <typename T>
struct MultiplyRows {
  template <int W>
  static TUTTI_INLINE void run(Job<T> job) {
    if (job.tokens == 1) {
      std::int64_t row = job.begin;
      for (; row + 8 <= job.end; row += 8) {
        tile<W, 8, 1>(job, row, 0);
      }
      for (; row < job.end; ++row) {
        tile<W, 1, 1>(job, row, 0);
      }
      return;
    }
    constexpr int kTokens = W == 16 ? 4 : 2;
    std::int64_t token = 0;
    for (; token + kTokens <= job.tokens; token += kTokens) {
      rows<W, kTokens>(job, token);
    }
    for (; token < job.tokens; ++token) {
      rows<W, 1>(job, token);
    }
  }

 private:
  template <int W, int M>
  static TUTTI_INLINE void rows(const Job<T>& job, std::int64_t token) {
    std::int64_t row = job.begin;
    for (; row + 4 <= job.end; row += 4) {
      tile<W, 4, M>(job, row, token);
    }
    for (; row < job.end; ++row) {
      tile<W, 1, M>(job, row, token);
    }
  }

  template <int W, int R, int M>
  static TUTTI_INLINE void tile(const Job<T>& job, std::int64_t row, std::int64_t token) {
    using F = simd::F32<W>;
    constexpr bool kPrefetch = M == 1 || sizeof(T) == 2;
    const T* w = job.weight + row * job.weight_stride;
    const T* ahead = w + (token == 0 ? R * job.weight_stride : 0);  // the next rows, once
    const float* x = job.x + token * job.x_stride;
    F sum[R * M];
    for (F& s : sum) {
      s = F{};
    }
    F xs[M];
    F ws;
    std::int64_t i = 0;
    for (; i + W <= job.in; i += W) {
      for (int m = 0; m < M; ++m) {
        simd::load(xs[m], x + m * job.x_stride + i);
      }
      for (int r = 0; r < R; ++r) {
        if constexpr (kPrefetch) {
          __builtin_prefetch(ahead + r * job.weight_stride + i, 0, 2);
        }
        simd::load_wide<W>(ws, w + r * job.weight_stride + i);
        for (int m = 0; m < M; ++m) {
          sum[r * M + m] += ws * xs[m];
        }
      }
    }
    if (i < job.in) {
      for (int m = 0; m < M; ++m) {
        simd::load_wide_tail<W>(xs[m], x + m * job.x_stride + i, job.in - i);
      }
      for (int r = 0; r < R; ++r) {
        simd::load_wide_tail<W>(ws, w + r * job.weight_stride + i, job.in - i);
        for (int m = 0; m < M; ++m) {
          sum[r * M + m] += ws * xs[m];
        }
      }
    }
    float total[(R * M + W - 1) / W * W];
    sum_each<W, R * M>(sum, total);
    for (int r = 0; r < R; ++r) {
      const float bias = job.bias != nullptr ? job.bias[row + r] : 0.0f;
      for (int m = 0; m < M; ++m) {
        job.y[(token + m) * job.y_stride + row + r] = total[r * M + m] + bias;
      }
    }
  }

  // total[n] = the lanes of sum[n], added by halves, W of them at a time.
  template <int W, int N>
  static TUTTI_INLINE void sum_each(const simd::F32<W> (&sum)[N], float* total) {
    for (int n = 0; n < N; n += W) {
      simd::F32<W> lanes[W];
      for (int i = 0; i < W; ++i) {
        lanes[i] = n + i < N ? sum[n + i] : simd::F32<W>{};
      }
      simd::transpose<W>(lanes);
      for (int half = W / 2; half > 0; half /= 2) {
        for (int i = 0; i < half; ++i) {
          lanes[i] += lanes[i + half];
        }
      }
      simd::store(total + n, lanes[0]);
    }
  }
};

// to[r,:] = from[r,:] widened, densely.
template <typename T>
struct WidenPanel {
  template <int W>
  static TUTTI_INLINE void run(const T* from, std::int64_t stride, std::int64_t rows,
                               std::int64_t in, float* to) {
    for (std::int64_t r = 0; r < rows; ++r, from += stride, to += in) {
      std::int64_t i = 0;
      for (; i + W <= in; i += W) {
        simd::F32<W> v;
        simd::load_wide<W>(v, from + i);
        simd::store(to + i, v);
      }
      for (; i < in; ++i) {
        to[i] = to_float(from[i]);
      }
    }
  }
};

// Panel by panel; scratch holds one panel, or nothing where the elements need no widening.
template <typename T>
void multiply_panels(const Job<T>& job, float* scratch) {
  const std::int64_t step = panel_rows(job.in);
  for (std::int64_t row = job.begin; row < job.end; row += step) {
    const std::int64_t rows = std::min(step, job.end - row);
    const T* weight = job.weight + row * job.weight_stride;
    Job<float> panel{.x = job.x,
                     .x_stride = job.x_stride,
                     .tokens = job.tokens,
                     .weight = scratch,
                     .weight_stride = job.in,
                     .in = job.in,
                     .bias = job.bias == nullptr ? nullptr : job.bias + row,
                     .y = job.y + row,
                     .y_stride = job.y_stride,
                     .begin = 0,
                     .end = rows};
    if constexpr (std::is_same_v<T, float>) {
      panel.weight = weight;
      panel.weight_stride = job.weight_stride;
    } else {
      multiversion<WidenPanel<T>>(weight, job.weight_stride, rows, job.in, scratch);
    }
    multiversion<MultiplyRows<float>>(panel);
  }
}

// Without widening beforehand: four rows at a time against all tokens, so that memory is read once.
template <typename T>
void multiply_few(const Job<T>& job) {
  if (job.tokens == 1) {
    return multiversion<MultiplyRows<T>>(job);
  }
  for (std::int64_t row = job.begin; row < job.end; row += 8) {
    Job<T> rows = job;
    rows.begin = row;
    rows.end = std::min(row + 8, job.end);
    multiversion<MultiplyRows<T>>(rows);
  }
}

template <typename T>
void gemm_host(const Exec& exec, const GemmArgs& args) {
  const TensorView& matrix = args.weight.matrix;
  Job<T> job{.x = static_cast<const float*>(args.x.data),
             .x_stride = args.x.row_stride,
             .tokens = args.x.rows(),
             .weight = static_cast<const T*>(matrix.data),
             .weight_stride = matrix.row_stride,
             .in = args.weight.in(),
             .bias = args.bias.empty() ? nullptr : static_cast<const float*>(args.bias.data),
             .y = static_cast<float*>(args.y.data),
             .y_stride = args.y.row_stride,
             .begin = 0,
             .end = args.weight.out()};
  const bool few = job.tokens < kPanelTokens;
  const std::size_t wanted = gemm_scratch_bytes(job.in, exec.threads);
  if (!few && !std::is_same_v<T, float>) {
    check_that(exec.scratch.bytes >= wanted, "gemm",
               "exec.scratch holds {} bytes, wanted {} for {} tokens on {} threads",
               exec.scratch.bytes, wanted, job.tokens, exec.threads);
  }
  const int threads = threads_for(exec, job.in * job.end * std::min<std::int64_t>(job.tokens, 8));
  auto* scratch = reinterpret_cast<float*>(exec.scratch.data);
  const std::int64_t scratch_stride = panel_rows(job.in) * job.in;
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
  for (int part = 0; part < threads; ++part) {
    Job<T> mine = job;
    mine.begin = job.end * part / threads;
    mine.end = job.end * (part + 1) / threads;
    if (few) {
      multiply_few(mine);
    } else {
      multiply_panels(mine, scratch == nullptr ? nullptr : scratch + scratch_stride * part);
    }
  }
}

}  // namespace

std::size_t gemm_scratch_bytes(std::int64_t in, int threads) {
  return static_cast<std::size_t>(panel_rows(in) * in) * sizeof(float) *
         static_cast<std::size_t>(std::max(1, threads));
}

void gemm(const Exec& exec, const GemmArgs& args) {
  check_activation(exec, "gemm", "x", args.x, {kAnyExtent, kAnyExtent});
  check_weight(exec, "gemm", args.weight.matrix, kAnyExtent, args.x.shape[1]);
  check_activation(exec, "gemm", "y", args.y, {args.x.rows(), args.weight.out()});
  if (args.bias.dims != 0) {
    check_view(exec, "gemm", "bias", args.bias, DType::f32, {args.weight.out()});
  }
  if (args.y.empty()) {
    return;
  }
  if (on_device(exec, "gemm")) {
    const DType dtype = args.weight.matrix.dtype;
    check_that(args.x.dtype == dtype && (args.y.dtype == dtype || args.y.dtype == DType::f32),
               "gemm", "x is {} and y {}, wanted the weight's {} (y may be f32)",
               name_of(args.x.dtype), name_of(args.y.dtype), name_of(dtype));
    return exec.ops->gemm(exec, args);
  }
  switch (args.weight.matrix.dtype) {
    case DType::f16:
      return gemm_host<f16>(exec, args);
    case DType::bf16:
      return gemm_host<bf16>(exec, args);
    default:
      return gemm_host<float>(exec, args);
  }
}

}  // namespace tutti
