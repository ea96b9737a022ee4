// Element by element, in place.
#include <algorithm>

#include "kernels/cuda_launch.cuh"
#include "kernels/cuda_types.cuh"
#include "kernels/soft_cap.hpp"

namespace tutti {
namespace {

constexpr int kThreads = 256;
constexpr unsigned kMostRows = 65535;  // of a grid

template <typename T>
__global__ void __launch_bounds__(kThreads)
    soft_cap_kernel(T* x, std::int64_t rows, std::int64_t columns, std::int64_t stride, float scale,
                    float cap) {
  release_dependents();
  wait_for_predecessor();
  const std::int64_t column = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (column >= columns) {
    return;
  }
  for (std::int64_t r = blockIdx.y; r < rows; r += gridDim.y) {
    const float v = widen(x[r * stride + column]) * scale;
    x[r * stride + column] = narrow<T>(cap > 0 ? cap * tanhf(v / cap) : v);
  }
}

}  // namespace

void soft_cap_cuda(CudaContext& context, const Exec& exec, const SoftCapArgs& args) {
  const std::int64_t rows = args.x.rows();
  const std::int64_t columns = args.x.shape[1];
  const dim3 grid(static_cast<unsigned>((columns + kThreads - 1) / kThreads),
                  static_cast<unsigned>(std::min<std::int64_t>(rows, kMostRows)));
  with_cuda_type(args.x.dtype, [&](auto zero) {
    using T = decltype(zero);
    launch(context, exec, "soft_cap", &soft_cap_kernel<T>, grid, dim3(kThreads), 0,
           static_cast<T*>(args.x.data), rows, columns, args.x.row_stride, args.scale, args.cap);
  });
}

}  // namespace tutti
