// A row a block, read once for the mean, once for the variance and once for the result: the second
// and third time from the caches.
#include "kernels/layernorm.hpp"
#include "kernels/norm_rows.cuh"

namespace tutti {
namespace {

template <typename X, typename Y>
struct Rows {
  const X* x;
  float* residual;  // null: the norm of x itself
  const float* weight;
  const float* bias;  // or null
  Y* y;
  std::int64_t x_stride;
  std::int64_t residual_stride;
  std::int64_t y_stride;
  int dim;
  float eps;
};

template <typename X, typename Y, bool kAdd, int kStep>
__global__ void __launch_bounds__(kNormThreads) layernorm_kernel(Rows<X, Y> rows) {
  __shared__ float shared[2][32];
  release_dependents();
  wait_for_predecessor();
  const X* const x = rows.x + blockIdx.x * rows.x_stride;
  float* const residual = kAdd ? rows.residual + blockIdx.x * rows.residual_stride : nullptr;
  const auto load = [&](int c, float(&v)[kStep]) {
    if constexpr (kAdd) {
      load_columns<kStep>(residual + c, v);
    } else {
      load_columns<kStep>(x + c, v);
    }
  };
  float sum = 0;
  each_column<kStep>(rows.dim, [&](int c) {
    float v[kStep];
    load(c, v);
    if constexpr (kAdd) {
      float more[kStep];
      load_columns<kStep>(x + c, more);
#pragma unroll
      for (int i = 0; i < kStep; ++i) {
        v[i] += more[i];
      }
      store_columns<kStep>(residual + c, v);
    }
#pragma unroll
    for (int i = 0; i < kStep; ++i) {
      sum += v[i];
    }
  });
  const float mean = block_sum(sum, shared[0]) / static_cast<float>(rows.dim);
  float squares = 0;
  each_column<kStep>(rows.dim, [&](int c) {
    float v[kStep];
    load(c, v);
#pragma unroll
    for (int i = 0; i < kStep; ++i) {
      squares = fmaf(v[i] - mean, v[i] - mean, squares);
    }
  });
  const float variance = block_sum(squares, shared[1]) / static_cast<float>(rows.dim);
  const float factor = 1.0f / sqrtf(variance + rows.eps);
  Y* const y = rows.y + blockIdx.x * rows.y_stride;
  each_column<kStep>(rows.dim, [&](int c) {
    float v[kStep];
    float w[kStep];
    float b[kStep] = {};
    load(c, v);
    load_columns<kStep>(rows.weight + c, w);
    if (rows.bias != nullptr) {
      load_columns<kStep>(rows.bias + c, b);
    }
#pragma unroll
    for (int i = 0; i < kStep; ++i) {
      v[i] = (v[i] - mean) * factor * w[i] + b[i];
    }
    store_columns<kStep>(y + c, v);
  });
}

template <bool kAdd, typename X, typename Y>
void layernorm_rows(CudaContext& context, const Exec& exec, std::int64_t tokens, bool vectors,
                    const Rows<X, Y>& rows) {
  launch(context, exec, kAdd ? "add_layernorm" : "layernorm",
         vectors ? &layernorm_kernel<X, Y, kAdd, kLanes> : &layernorm_kernel<X, Y, kAdd, 1>,
         dim3(static_cast<unsigned>(tokens)), norm_block(rows.dim, vectors), 0, rows);
}

}  // namespace

void layernorm_cuda(CudaContext& context, const Exec& exec, const LayernormArgs& args) {
  const bool vectors = takes_vectors({args.x, args.y}) && aligned_weights({args.weight, args.bias});
  with_cuda_type(args.y.dtype, [&](auto zero) {
    using Y = decltype(zero);
    layernorm_rows<false>(context, exec, args.x.rows(), vectors,
                          Rows<float, Y>{.x = static_cast<const float*>(args.x.data),
                                         .residual = nullptr,
                                         .weight = floats_of(args.weight),
                                         .bias = floats_of(args.bias),
                                         .y = static_cast<Y*>(args.y.data),
                                         .x_stride = args.x.row_stride,
                                         .residual_stride = 0,
                                         .y_stride = args.y.row_stride,
                                         .dim = static_cast<int>(args.x.shape[1]),
                                         .eps = args.eps});
  });
}

void add_layernorm_cuda(CudaContext& context, const Exec& exec, const AddLayernormArgs& args) {
  const bool vectors =
      takes_vectors({args.x, args.residual, args.y}) && aligned_weights({args.weight, args.bias});
  with_cuda_type(args.y.dtype, [&](auto zero) {
    using T = decltype(zero);
    layernorm_rows<true>(context, exec, args.x.rows(), vectors,
                         Rows<T, T>{.x = static_cast<const T*>(args.x.data),
                                    .residual = static_cast<float*>(args.residual.data),
                                    .weight = floats_of(args.weight),
                                    .bias = floats_of(args.bias),
                                    .y = static_cast<T*>(args.y.data),
                                    .x_stride = args.x.row_stride,
                                    .residual_stride = args.residual.row_stride,
                                    .y_stride = args.y.row_stride,
                                    .dim = static_cast<int>(args.x.shape[1]),
                                    .eps = args.eps});
  });
}

}  // namespace tutti
