// A weight matrix times a few tokens without tensor cores: f32 in full f32, and whatever is not
// aligned enough for the other kernels. A warp takes one row and up to four tokens.
#pragma once

#include "kernels/cuda_launch.cuh"
#include "kernels/cuda_types.cuh"

namespace tutti::gemm_rows {

inline constexpr int kWarps = 8;
inline constexpr int kTokens = 4;

struct Args {
  const void* weight;
  std::int64_t weight_stride;  // elements
  const void* x;
  std::int64_t x_stride;
  const float* bias;  // or null
  void* y;
  std::int64_t y_stride;
  bool y_is_f32;
  std::int64_t tokens;
  std::int64_t in;
  std::int64_t rows;
};

// V elements at once, widened.
template <typename T, int V>
__device__ inline void load_wide(float (&to)[V], const T* from) {
  if constexpr (V == 4) {
    static_assert(sizeof(T) == 4);
    const float4 v = *reinterpret_cast<const float4*>(from);
    to[0] = v.x, to[1] = v.y, to[2] = v.z, to[3] = v.w;
  } else {
    static_assert(V == 1);
    to[0] = widen(*from);
  }
}

// V divides in. Order of a sum: a lane's elements one after the other, then the lanes by halves.
template <typename T, int V>
__global__ void __launch_bounds__(kWarps * 32) gemm_rows_kernel(const Args args) {
  release_dependents();
  wait_for_predecessor();
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const std::int64_t row = std::int64_t{blockIdx.x} * kWarps + threadIdx.x / 32;
  const std::int64_t token = std::int64_t{blockIdx.y} * kTokens;
  if (row >= args.rows) {
    return;
  }
  const int tokens = static_cast<int>(min(std::int64_t{kTokens}, args.tokens - token));
  const T* w = static_cast<const T*>(args.weight) + row * args.weight_stride;
  const T* x = static_cast<const T*>(args.x) + token * args.x_stride;
  float sums[kTokens] = {};
#pragma unroll 4
  for (std::int64_t i = lane * V; i < args.in; i += 32 * V) {
    float ws[V];
    load_wide<T, V>(ws, w + i);
#pragma unroll
    for (int t = 0; t < kTokens; ++t) {
      if (t < tokens) {
        float xs[V];
        load_wide<T, V>(xs, x + t * args.x_stride + i);
#pragma unroll
        for (int v = 0; v < V; ++v) {
          sums[t] = fmaf(ws[v], xs[v], sums[t]);
        }
      }
    }
  }
#pragma unroll
  for (int t = 0; t < kTokens; ++t) {
#pragma unroll
    for (int other = 16; other > 0; other /= 2) {
      sums[t] += __shfl_xor_sync(0xffffffffu, sums[t], other);
    }
    if (lane == t && t < tokens) {
      const float value = sums[t] + (args.bias != nullptr ? args.bias[row] : 0.0f);
      const std::int64_t at = (token + t) * args.y_stride + row;
      if (args.y_is_f32) {
        static_cast<float*>(args.y)[at] = value;
      } else {
        static_cast<T*>(args.y)[at] = narrow<T>(value);
      }
    }
  }
}

template <typename T, int V>
void start(const CudaContext& context, const Exec& exec, const Args& args) {
  const dim3 grid(static_cast<unsigned>((args.rows + kWarps - 1) / kWarps),
                  static_cast<unsigned>((args.tokens + kTokens - 1) / kTokens));
  launch(context, exec, "gemm_rows", &gemm_rows_kernel<T, V>, grid, dim3(kWarps * 32), 0, args);
}

inline void start(const CudaContext& context, const Exec& exec, DType dtype, const Args& args) {
  const auto in_vectors = [](const void* data, std::int64_t stride) {
    return reinterpret_cast<std::uintptr_t>(data) % 16 == 0 && stride % 4 == 0;
  };
  if (dtype == DType::bf16) {
    return start<__nv_bfloat16, 1>(context, exec, args);
  }
  if (dtype == DType::f16) {
    return start<__half, 1>(context, exec, args);
  }
  if (args.in % 4 == 0 && in_vectors(args.weight, args.weight_stride) &&
      in_vectors(args.x, args.x_stride)) {
    return start<float, 4>(context, exec, args);
  }
  return start<float, 1>(context, exec, args);
}

}  // namespace tutti::gemm_rows
