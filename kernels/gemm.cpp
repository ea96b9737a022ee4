#include "kernels/gemm.hpp"

#include <cblas.h>

#include <algorithm>

#include "kernels/check.hpp"
#include "kernels/simd.hpp"

#ifdef _OPENMP
#include <omp.h>
#endif

namespace tutti {
namespace {

// Up to here the own kernel wins over widening panels for the library (docs/decisions/0003).
constexpr std::int64_t kFewTokens = 12;

// Rows of a panel: large enough that the library packs the activations seldom, small enough that
// panel and activations stay in the second-level cache.
constexpr std::int64_t kPanelBytes = 1 << 20;

std::int64_t panel_rows(std::int64_t in) {
  const std::int64_t rows = kPanelBytes / (std::max<std::int64_t>(in, 1) * 4);
  return std::clamp<std::int64_t>(rows / 16 * 16, 64, 512);
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
struct FewTokens {
  template <int W>
  static TUTTI_INLINE void run(Job<T> job) {
    std::int64_t row = job.begin;
    if (job.tokens == 1) {
      for (; row + 8 <= job.end; row += 8) {
        tile<W, 8, 1>(job, row, 0);
      }
    }
    for (; row + 4 <= job.end; row += 4) {
      rows<W, 4>(job, row);
    }
    for (; row < job.end; ++row) {
      rows<W, 1>(job, row);
    }
  }

 private:
  template <int W, int R>
  static TUTTI_INLINE void rows(const Job<T>& job, std::int64_t row) {
    constexpr int kTokens = W == 16 ? 4 : 2;
    std::int64_t token = 0;
    for (; token + kTokens <= job.tokens; token += kTokens) {
      tile<W, R, kTokens>(job, row, token);
    }
    for (; token < job.tokens; ++token) {
      tile<W, R, 1>(job, row, token);
    }
  }

  template <int W, int R, int M>
  static TUTTI_INLINE void tile(const Job<T>& job, std::int64_t row, std::int64_t token) {
    using F = simd::F32<W>;
    const T* w = job.weight + row * job.weight_stride;
    const float* x = job.x + token * job.x_stride;
    F sum[R][M] = {};
    F xs[M];
    F ws;
    std::int64_t i = 0;
    for (; i + W <= job.in; i += W) {
      for (int m = 0; m < M; ++m) {
        simd::load(xs[m], x + m * job.x_stride + i);
      }
      for (int r = 0; r < R; ++r) {
        simd::load_wide<W>(ws, w + r * job.weight_stride + i);
        for (int m = 0; m < M; ++m) {
          sum[r][m] += ws * xs[m];
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
          sum[r][m] += ws * xs[m];
        }
      }
    }
    for (int r = 0; r < R; ++r) {
      const float bias = job.bias != nullptr ? job.bias[row + r] : 0.0f;
      for (int m = 0; m < M; ++m) {
        job.y[(token + m) * job.y_stride + row + r] = simd::sum_lanes<W>(sum[r][m]) + bias;
      }
    }
  }
};

// to[r,:] = weight[begin + r,:] widened, densely.
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

// The library must not start threads of its own: every thread here calls it on its own panel. It
// notices an active OpenMP region by itself, but a team of one is none. Its switch is process-wide
// and also resets OpenMP's default team size, which is put back.
void keep_library_single_threaded() {
  static const bool done = [] {
#ifdef _OPENMP
    const int threads = omp_get_max_threads();
    openblas_set_num_threads(1);
    omp_set_num_threads(threads);
#else
    openblas_set_num_threads(1);
#endif
    return true;
  }();
  static_cast<void>(done);
}

template <typename T>
void many_tokens(const Job<T>& job, float* scratch) {
  const std::int64_t step = panel_rows(job.in);
  for (std::int64_t row = job.begin; row < job.end; row += step) {
    const std::int64_t rows = std::min(step, job.end - row);
    const T* weight = job.weight + row * job.weight_stride;
    const float* panel = scratch;
    std::int64_t panel_stride = job.in;
    if constexpr (std::is_same_v<T, float>) {
      panel = weight;
      panel_stride = job.weight_stride;
    } else {
      multiversion<WidenPanel<T>>(weight, job.weight_stride, rows, job.in, scratch);
    }
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<blasint>(job.tokens),
                static_cast<blasint>(rows), static_cast<blasint>(job.in), 1.0f, job.x,
                static_cast<blasint>(job.x_stride), panel, static_cast<blasint>(panel_stride), 0.0f,
                job.y + row, static_cast<blasint>(job.y_stride));
    for (std::int64_t t = 0; job.bias != nullptr && t < job.tokens; ++t) {
      for (std::int64_t r = row; r < row + rows; ++r) {
        job.y[t * job.y_stride + r] += job.bias[r];
      }
    }
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
  const bool few = job.tokens <= kFewTokens;
  const std::size_t wanted = gemm_scratch_bytes(job.in, exec.threads);
  if (!few) {
    keep_library_single_threaded();
    check_that(std::is_same_v<T, float> || exec.scratch.bytes >= wanted, "gemm",
               "exec.scratch holds {} bytes, wanted {} for {} tokens on {} threads",
               exec.scratch.bytes, wanted, job.tokens, exec.threads);
  }
  const int threads = threads_for(exec, job.in * job.end * std::min(job.tokens, kFewTokens));
  auto* scratch = reinterpret_cast<float*>(exec.scratch.data);
  const std::int64_t scratch_stride = panel_rows(job.in) * job.in;
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
  for (int part = 0; part < threads; ++part) {
    Job<T> mine = job;
    mine.begin = job.end * part / threads;
    mine.end = job.end * (part + 1) / threads;
    if (few) {
      multiversion<FewTokens<T>>(mine);
    } else {
      many_tokens(mine, scratch == nullptr ? nullptr : scratch + scratch_stride * part);
    }
  }
}

}  // namespace

std::size_t gemm_scratch_bytes(std::int64_t in, int threads) {
  return static_cast<std::size_t>(panel_rows(in) * in) * sizeof(float) *
         static_cast<std::size_t>(std::max(1, threads));
}

void gemm(const Exec& exec, const GemmArgs& args) {
  check_host(exec, "gemm");
  check_view(exec, "gemm", "x", args.x, DType::f32, {kAnyExtent, kAnyExtent});
  check_weight(exec, "gemm", args.weight.matrix, kAnyExtent, args.x.shape[1]);
  check_view(exec, "gemm", "y", args.y, DType::f32, {args.x.rows(), args.weight.out()});
  if (args.bias.dims != 0) {
    check_view(exec, "gemm", "bias", args.bias, DType::f32, {args.weight.out()});
  }
  if (args.y.empty()) {
    return;
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
