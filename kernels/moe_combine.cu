// A token and 256 of its columns a block.
#include "kernels/cuda_launch.cuh"
#include "kernels/cuda_types.cuh"
#include "kernels/moe_combine.hpp"

namespace tutti {
namespace {

constexpr int kThreads = 256;

template <typename T>
struct Combine {
  const T* x;
  const int* ids;
  const float* weights;
  const T* shared;           // or null
  const float* shared_gate;  // or null
  T* y;
  std::int64_t x_stride;
  std::int64_t ids_stride;
  std::int64_t weights_stride;
  std::int64_t shared_stride;
  std::int64_t gate_stride;
  std::int64_t y_stride;
  std::int64_t first;
  std::int64_t experts;
  int top_k;
  int dim;
};

template <typename T>
__global__ void __launch_bounds__(kThreads) moe_combine_kernel(Combine<T> combine) {
  release_dependents();
  wait_for_predecessor();
  const std::int64_t token = blockIdx.x;
  const int column = static_cast<int>(blockIdx.y * kThreads + threadIdx.x);
  if (column >= combine.dim) {
    return;
  }
  float sum = 0;
  if (combine.shared != nullptr) {
    sum = widen(combine.shared[token * combine.shared_stride + column]);
    if (combine.shared_gate != nullptr) {
      sum *= 1.0f / (1.0f + expf(-combine.shared_gate[token * combine.gate_stride]));
    }
  }
  for (int j = 0; j < combine.top_k; ++j) {
    const std::int64_t expert = combine.ids[token * combine.ids_stride + j];
    if (expert >= combine.first && expert < combine.first + combine.experts) {
      sum = fmaf(combine.weights[token * combine.weights_stride + j],
                 widen(combine.x[(token * combine.top_k + j) * combine.x_stride + column]), sum);
    }
  }
  combine.y[token * combine.y_stride + column] = narrow<T>(sum);
}

}  // namespace

void moe_combine_cuda(CudaContext& context, const Exec& exec, const MoeCombineArgs& args) {
  const auto dim = static_cast<int>(args.y.shape[1]);
  with_cuda_type(args.y.dtype, [&](auto zero) {
    using T = decltype(zero);
    const auto rows = [](const TensorView& view) {
      return view.dims == 0 ? nullptr : static_cast<const T*>(view.data);
    };
    const auto floats = [](const TensorView& view) {
      return view.dims == 0 ? nullptr : static_cast<const float*>(view.data);
    };
    launch(context, exec, "moe_combine", &moe_combine_kernel<T>,
           dim3(static_cast<unsigned>(args.y.rows()),
                static_cast<unsigned>((dim + kThreads - 1) / kThreads)),
           dim3(kThreads), 0,
           Combine<T>{.x = rows(args.x),
                      .ids = static_cast<const int*>(args.ids.data),
                      .weights = floats(args.weights),
                      .shared = rows(args.shared),
                      .shared_gate = floats(args.shared_gate),
                      .y = static_cast<T*>(args.y.data),
                      .x_stride = args.x.row_stride,
                      .ids_stride = args.ids.row_stride,
                      .weights_stride = args.weights.row_stride,
                      .shared_stride = args.shared.row_stride,
                      .gate_stride = args.shared_gate.row_stride,
                      .y_stride = args.y.row_stride,
                      .first = args.first,
                      .experts = args.experts,
                      .top_k = static_cast<int>(args.ids.shape[1]),
                      .dim = dim});
  });
}

}  // namespace tutti
