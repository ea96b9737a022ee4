// Where it is not part of a product: bound by memory.
#include <algorithm>

#include "kernels/activation.cuh"
#include "kernels/activation.hpp"
#include "kernels/cuda_launch.cuh"
#include "kernels/cuda_vectors.cuh"

namespace tutti {
namespace {

constexpr int kThreads = 128;
constexpr unsigned kMostRows = 65535;  // of a grid

// Threads along a row, a vector each.
template <typename T, Activation kKind, bool kVectors>
__global__ void __launch_bounds__(kThreads)
    activation_kernel(T* x, std::int64_t tokens, std::int64_t columns, std::int64_t stride) {
  release_dependents();
  wait_for_predecessor();
  const std::int64_t column = (std::int64_t{blockIdx.x} * kThreads + threadIdx.x) * kLanes;
  for (std::int64_t t = blockIdx.y; t < tokens; t += gridDim.y) {
    T* const at = x + t * stride + column;
    if (kVectors) {
      if (column < columns) {
        float v[kLanes];
        load8(at, v);
#pragma unroll
        for (int i = 0; i < kLanes; ++i) {
          v[i] = activate<kKind>(v[i]);
        }
        store8(at, v);
      }
    } else {
      for (int i = 0; i < kLanes && column + i < columns; ++i) {
        at[i] = narrow<T>(activate<kKind>(widen(at[i])));
      }
    }
  }
}

}  // namespace

void activation_cuda(CudaContext& context, const Exec& exec, const ActivationArgs& args) {
  const std::int64_t tokens = args.x.rows();
  const std::int64_t columns = args.x.shape[1];
  const std::int64_t per_block = std::int64_t{kThreads} * kLanes;
  const dim3 grid(static_cast<unsigned>((columns + per_block - 1) / per_block),
                  static_cast<unsigned>(std::min<std::int64_t>(tokens, kMostRows)));
  const bool vectors = takes_vectors({args.x});
  with_cuda_type(args.x.dtype, [&](auto zero) {
    using T = decltype(zero);
    with_activation(args.kind, [&](auto kind) {
      constexpr Activation kKind = decltype(kind)::value;
      launch(context, exec, "activation",
             vectors ? &activation_kernel<T, kKind, true> : &activation_kernel<T, kKind, false>,
             grid, dim3(kThreads), 0, static_cast<T*>(args.x.data), tokens, columns,
             args.x.row_stride);
    });
  });
}

}  // namespace tutti
