// The gate of the feed-forward layer where its product is a library's: bound by memory.
#include <algorithm>

#include "kernels/activation.cuh"
#include "kernels/cuda_launch.cuh"
#include "kernels/cuda_vectors.cuh"

namespace tutti {
namespace {

constexpr int kThreads = 128;
constexpr unsigned kMostRows = 65535;  // of a grid

// Threads along a row, a vector each.
template <typename T, Activation kKind, bool kVectors>
__global__ void __launch_bounds__(kThreads)
    gated_activation_kernel(const T* gate_up, T* y, std::int64_t tokens, std::int64_t columns,
                            std::int64_t gate_up_stride, std::int64_t y_stride) {
  release_dependents();
  wait_for_predecessor();
  const std::int64_t column = (std::int64_t{blockIdx.x} * kThreads + threadIdx.x) * kLanes;
  for (std::int64_t t = blockIdx.y; t < tokens; t += gridDim.y) {
    const T* gate = gate_up + t * gate_up_stride + column;
    const T* up = gate + columns;
    T* to = y + t * y_stride + column;
    if (kVectors) {
      if (column < columns) {
        float g[kLanes];
        float u[kLanes];
        load8(gate, g);
        load8(up, u);
#pragma unroll
        for (int i = 0; i < kLanes; ++i) {
          g[i] = activate<kKind>(g[i]) * u[i];
        }
        store8(to, g);
      }
    } else {
      for (int i = 0; i < kLanes && column + i < columns; ++i) {
        to[i] = narrow<T>(activate<kKind>(widen(gate[i])) * widen(up[i]));
      }
    }
  }
}

}  // namespace

void gated_activation_cuda(CudaContext& context, const Exec& exec,
                           const GatedActivationArgs& args) {
  const std::int64_t tokens = args.y.rows();
  const std::int64_t columns = args.y.shape[1];
  const std::int64_t per_block = std::int64_t{kThreads} * kLanes;
  const dim3 grid(static_cast<unsigned>((columns + per_block - 1) / per_block),
                  static_cast<unsigned>(std::min<std::int64_t>(tokens, kMostRows)));
  const bool vectors = takes_vectors({args.gate_up, args.y});
  with_cuda_type(args.y.dtype, [&](auto zero) {
    using T = decltype(zero);
    with_activation(args.kind, [&](auto kind) {
      constexpr Activation kKind = decltype(kind)::value;
      launch(context, exec, "gated_activation",
             vectors ? &gated_activation_kernel<T, kKind, true>
                     : &gated_activation_kernel<T, kKind, false>,
             grid, dim3(kThreads), 0, static_cast<const T*>(args.gate_up.data),
             static_cast<T*>(args.y.data), tokens, columns, args.gate_up.row_stride,
             args.y.row_stride);
    });
  });
}

}  // namespace tutti
