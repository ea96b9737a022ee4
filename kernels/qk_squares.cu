// A token a block.
#include "kernels/cuda_launch.cuh"
#include "kernels/cuda_vectors.cuh"

namespace tutti {
namespace {

constexpr int kThreads = 256;

template <typename T>
struct Squares {
  const T* qkv;
  std::int64_t stride;
  int q_width;
  int k_begin;
  int k_end;
  float* y;
  std::int64_t y_stride;
};

template <typename T>
__device__ inline float sum_of(const T* row, int begin, int end) {
  float sum = 0;
  for (int i = begin + static_cast<int>(threadIdx.x); i < end; i += kThreads) {
    const float v = widen(row[i]);
    sum = fmaf(v, v, sum);
  }
  return sum;
}

template <typename T>
__global__ void __launch_bounds__(kThreads) qk_squares_kernel(Squares<T> squares) {
  __shared__ float shared[2][32];
  release_dependents();
  wait_for_predecessor();
  const T* const row = squares.qkv + blockIdx.x * squares.stride;
  const float q = block_sum(sum_of(row, 0, squares.q_width), shared[0]);
  const float k = block_sum(sum_of(row, squares.k_begin, squares.k_end), shared[1]);
  if (threadIdx.x < 2) {
    squares.y[blockIdx.x * squares.y_stride + threadIdx.x] = threadIdx.x == 0 ? q : k;
  }
}

}  // namespace

void qk_squares_cuda(CudaContext& context, const Exec& exec, const QkSquaresArgs& args) {
  with_cuda_type(args.qkv.dtype, [&](auto zero) {
    using T = decltype(zero);
    const auto column = [&](std::int64_t head) { return static_cast<int>(head * args.head_dim); };
    launch(context, exec, "qk_squares", &qk_squares_kernel<T>,
           dim3(static_cast<unsigned>(args.qkv.rows())), dim3(kThreads), 0,
           Squares<T>{.qkv = static_cast<const T*>(args.qkv.data),
                      .stride = args.qkv.row_stride,
                      .q_width = column(args.q_heads),
                      .k_begin = column(args.q_heads + args.k_heads.begin),
                      .k_end = column(args.q_heads + args.k_heads.end),
                      .y = static_cast<float*>(args.squares.data),
                      .y_stride = args.squares.row_stride});
  });
}

}  // namespace tutti
