// A row is one block, read once: it stays in registers between its sum of squares and its scaling.
#include <algorithm>

#include "kernels/cuda_launch.cuh"
#include "kernels/cuda_vectors.cuh"

namespace tutti {
namespace {

// So that a block finds room beside those of the products around it (nccl_exchange.cuh says why).
constexpr int kMostThreads = 512;

// x and y [tokens, dim]; with a residual (f32), it takes x in first and is what is normalised.
template <typename X, typename Y>
struct Rows {
  const X* x;
  float* residual;
  const float* weight;
  Y* y;
  std::int64_t x_stride;
  std::int64_t residual_stride;
  std::int64_t y_stride;
  int dim;
  float eps;
};

__device__ inline float square_sum(const float (&v)[kLanes], float sum) {
#pragma unroll
  for (int i = 0; i < kLanes; ++i) {
    sum = fmaf(v[i], v[i], sum);
  }
  return sum;
}

// Rows of whole vectors, at most kVectors a thread; weights are read before the wait where there
// are registers for them.
template <typename X, typename Y, bool kAdd, int kVectors>
__global__ void __launch_bounds__(kMostThreads) rmsnorm_vectors(Rows<X, Y> rows) {
  constexpr bool kEarlyWeights = kVectors == 1;
  release_dependents();
  const int vectors = rows.dim / kLanes;
  float w[kLanes];
  if (kEarlyWeights && static_cast<int>(threadIdx.x) < vectors) {
    load8(rows.weight + threadIdx.x * kLanes, w);
  }
  wait_for_predecessor();
  const X* x = rows.x + blockIdx.x * rows.x_stride;
  float* residual = kAdd ? rows.residual + blockIdx.x * rows.residual_stride : nullptr;
  float v[kVectors][kLanes];
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kVectors; ++i) {
    const int vector = static_cast<int>(threadIdx.x + i * blockDim.x);
    if (vector < vectors) {
      load8(x + vector * kLanes, v[i]);
      if constexpr (kAdd) {
        float r[kLanes];
        load8(residual + vector * kLanes, r);
#pragma unroll
        for (int j = 0; j < kLanes; ++j) {
          v[i][j] += r[j];
        }
        store8(residual + vector * kLanes, v[i]);
      }
      sum = square_sum(v[i], sum);
    }
  }
  __shared__ float shared[32];
  const float mean = block_sum(sum, shared) / static_cast<float>(rows.dim);
  const float factor = 1.0f / sqrtf(mean + rows.eps);
  Y* y = rows.y + blockIdx.x * rows.y_stride;
#pragma unroll
  for (int i = 0; i < kVectors; ++i) {
    const int vector = static_cast<int>(threadIdx.x + i * blockDim.x);
    if (vector < vectors) {
      if (!kEarlyWeights) {
        load8(rows.weight + vector * kLanes, w);
      }
#pragma unroll
      for (int j = 0; j < kLanes; ++j) {
        v[i][j] = v[i][j] * factor * w[j];
      }
      store8(y + vector * kLanes, v[i]);
    }
  }
}

// Rows of any length and place, read twice.
template <typename X, typename Y, bool kAdd>
__global__ void __launch_bounds__(kMostThreads) rmsnorm_elements(Rows<X, Y> rows) {
  release_dependents();
  wait_for_predecessor();
  const X* x = rows.x + blockIdx.x * rows.x_stride;
  float* residual = kAdd ? rows.residual + blockIdx.x * rows.residual_stride : nullptr;
  float sum = 0;
  for (int i = static_cast<int>(threadIdx.x); i < rows.dim; i += static_cast<int>(blockDim.x)) {
    float v = widen(x[i]);
    if constexpr (kAdd) {
      v += residual[i];
      residual[i] = v;
    }
    sum = fmaf(v, v, sum);
  }
  __shared__ float shared[32];
  const float mean = block_sum(sum, shared) / static_cast<float>(rows.dim);
  const float factor = 1.0f / sqrtf(mean + rows.eps);
  Y* y = rows.y + blockIdx.x * rows.y_stride;
  for (int i = static_cast<int>(threadIdx.x); i < rows.dim; i += static_cast<int>(blockDim.x)) {
    const float v = kAdd ? residual[i] : widen(x[i]);
    y[i] = narrow<Y>(v * factor * rows.weight[i]);
  }
}

unsigned whole_warps(int threads) {
  return static_cast<unsigned>((threads + 31) / 32 * 32);
}

template <bool kAdd, typename X, typename Y>
void rmsnorm_rows(CudaContext& context, const Exec& exec, std::int64_t tokens, bool vectors,
                  const Rows<X, Y>& rows) {
  const char* name = kAdd ? "add_rmsnorm" : "rmsnorm";
  const int per_row = rows.dim / kLanes;
  const dim3 grid(static_cast<unsigned>(tokens));
  const auto run = [&](auto kernel, int threads) {
    launch(context, exec, name, kernel, grid, dim3(whole_warps(threads)), 0, rows);
  };
  if (!vectors || per_row > 4 * kMostThreads) {
    run(&rmsnorm_elements<X, Y, kAdd>, std::min(std::max(rows.dim, 1), kMostThreads));
  } else if (per_row <= kMostThreads) {
    run(&rmsnorm_vectors<X, Y, kAdd, 1>, per_row);
  } else if (per_row <= 2 * kMostThreads) {
    run(&rmsnorm_vectors<X, Y, kAdd, 2>, (per_row + 1) / 2);
  } else {
    run(&rmsnorm_vectors<X, Y, kAdd, 4>, (per_row + 3) / 4);
  }
}

}  // namespace

void rmsnorm_cuda(CudaContext& context, const Exec& exec, const RmsnormArgs& args) {
  const bool vectors = takes_vectors({args.x, args.y}) &&
                       reinterpret_cast<std::uintptr_t>(args.weight.data) % 16 == 0;
  with_cuda_type(args.y.dtype, [&](auto zero) {
    using Y = decltype(zero);
    rmsnorm_rows<false>(context, exec, args.x.rows(), vectors,
                        Rows<float, Y>{.x = static_cast<const float*>(args.x.data),
                                       .residual = nullptr,
                                       .weight = static_cast<const float*>(args.weight.data),
                                       .y = static_cast<Y*>(args.y.data),
                                       .x_stride = args.x.row_stride,
                                       .residual_stride = 0,
                                       .y_stride = args.y.row_stride,
                                       .dim = static_cast<int>(args.x.shape[1]),
                                       .eps = args.eps});
  });
}

void add_rmsnorm_cuda(CudaContext& context, const Exec& exec, const AddRmsnormArgs& args) {
  const bool vectors = takes_vectors({args.x, args.residual, args.y}) &&
                       reinterpret_cast<std::uintptr_t>(args.weight.data) % 16 == 0;
  with_cuda_type(args.y.dtype, [&](auto zero) {
    using T = decltype(zero);
    rmsnorm_rows<true>(context, exec, args.x.rows(), vectors,
                       Rows<T, T>{.x = static_cast<const T*>(args.x.data),
                                  .residual = static_cast<float*>(args.residual.data),
                                  .weight = static_cast<const float*>(args.weight.data),
                                  .y = static_cast<T*>(args.y.data),
                                  .x_stride = args.x.row_stride,
                                  .residual_stride = args.residual.row_stride,
                                  .y_stride = args.y.row_stride,
                                  .dim = static_cast<int>(args.x.shape[1]),
                                  .eps = args.eps});
  });
}

}  // namespace tutti
