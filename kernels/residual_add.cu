// A row a block: x is read for its norm, then joins the residual, which is read for the next one.
#include "kernels/norm_rows.cuh"
#include "kernels/residual_add.hpp"

namespace tutti {
namespace {

template <typename T>
struct Rows {
  const T* x;
  float scale;
  const float* post_weight;
  float* residual;
  const float* weight;  // or null
  T* y;                 // or null
  std::int64_t x_stride;
  std::int64_t residual_stride;
  std::int64_t y_stride;
  int dim;
  float eps;
};

template <typename T, bool kNormed, int kStep>
__global__ void __launch_bounds__(kNormThreads) residual_add_kernel(Rows<T> rows) {
  __shared__ float shared[2][32];
  release_dependents();
  wait_for_predecessor();
  const T* const x = rows.x + blockIdx.x * rows.x_stride;
  float* const residual = rows.residual + blockIdx.x * rows.residual_stride;
  T* const y = rows.y + blockIdx.x * rows.y_stride;
  float factor = rows.scale;
  if constexpr (kNormed) {
    float sum = 0;
    each_column<kStep>(rows.dim, [&](int c) {
      float v[kStep];
      load_columns<kStep>(x + c, v);
#pragma unroll
      for (int i = 0; i < kStep; ++i) {
        sum = fmaf(v[i], v[i], sum);
      }
    });
    factor = 1.0f / sqrtf(block_sum(sum, shared[0]) / static_cast<float>(rows.dim) + rows.eps);
  }
  float sum = 0;
  each_column<kStep>(rows.dim, [&](int c) {
    float v[kStep];
    float r[kStep];
    load_columns<kStep>(x + c, v);
    load_columns<kStep>(residual + c, r);
    if constexpr (kNormed) {
      float w[kStep];
      load_columns<kStep>(rows.post_weight + c, w);
#pragma unroll
      for (int i = 0; i < kStep; ++i) {
        v[i] = v[i] * factor * w[i];
      }
    } else {
#pragma unroll
      for (int i = 0; i < kStep; ++i) {
        v[i] *= factor;
      }
    }
#pragma unroll
    for (int i = 0; i < kStep; ++i) {
      r[i] += v[i];
      sum = fmaf(r[i], r[i], sum);
    }
    store_columns<kStep>(residual + c, r);
    if (rows.y != nullptr && rows.weight == nullptr) {
      store_columns<kStep>(y + c, r);
    }
  });
  if (!kNormed || rows.weight == nullptr) {
    return;
  }
  const float next =
      1.0f / sqrtf(block_sum(sum, shared[1]) / static_cast<float>(rows.dim) + rows.eps);
  each_column<kStep>(rows.dim, [&](int c) {
    float r[kStep];
    float w[kStep];
    load_columns<kStep>(residual + c, r);
    load_columns<kStep>(rows.weight + c, w);
#pragma unroll
    for (int i = 0; i < kStep; ++i) {
      r[i] = r[i] * next * w[i];
    }
    store_columns<kStep>(y + c, r);
  });
}

template <bool kNormed>
void add_rows(CudaContext& context, const Exec& exec, const char* name, const AddNormedArgs& args,
              float scale) {
  const bool vectors = takes_vectors({args.x, args.residual}) &&
                       (args.y.dims == 0 || takes_vectors({args.y})) &&
                       aligned_weights({args.post_weight, args.weight});
  with_cuda_type(args.x.dtype, [&](auto zero) {
    using T = decltype(zero);
    launch(context, exec, name,
           vectors ? &residual_add_kernel<T, kNormed, kLanes> : &residual_add_kernel<T, kNormed, 1>,
           dim3(static_cast<unsigned>(args.x.rows())), norm_block(args.x.shape[1], vectors), 0,
           Rows<T>{.x = static_cast<const T*>(args.x.data),
                   .scale = scale,
                   .post_weight = floats_of(args.post_weight),
                   .residual = static_cast<float*>(args.residual.data),
                   .weight = floats_of(args.weight),
                   .y = args.y.dims == 0 ? nullptr : static_cast<T*>(args.y.data),
                   .x_stride = args.x.row_stride,
                   .residual_stride = args.residual.row_stride,
                   .y_stride = args.y.row_stride,
                   .dim = static_cast<int>(args.x.shape[1]),
                   .eps = args.eps});
  });
}

}  // namespace

void residual_add_cuda(CudaContext& context, const Exec& exec, const ResidualAddArgs& args) {
  add_rows<false>(context, exec, "residual_add",
                  {.x = args.x, .post_weight = {}, .residual = args.residual, .y = args.y},
                  args.scale);
}

void add_normed_cuda(CudaContext& context, const Exec& exec, const AddNormedArgs& args) {
  add_rows<true>(context, exec, "add_normed", args, 1.0f);
}

}  // namespace tutti
