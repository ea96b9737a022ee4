// Few tokens take the kernel of skinny_gemm.cuh, or that of gemm_rows.cuh where it does not fit;
// many take the library.
#include "kernels/gemm_library.hpp"
#include "kernels/gemm_rows.cuh"
#include "kernels/skinny_gemm.cuh"

namespace tutti {
namespace {

const float* bias_of(const GemmArgs& args) {
  return args.bias.empty() ? nullptr : static_cast<const float*>(args.bias.data);
}

// Few tokens: bound by reading the weights.
bool multiply_few(const CudaContext& context, const Exec& exec, const GemmArgs& args) {
  const TensorView& matrix = args.weight.matrix;
  if (!skinny::takes(args.x, matrix)) {
    return false;
  }
  return skinny::start<false>(context, exec, matrix.dtype,
                              {.weight = matrix.data,
                               .weight_stride = matrix.row_stride,
                               .x = args.x.data,
                               .x_stride = args.x.row_stride,
                               .bias = bias_of(args),
                               .y = args.y.data,
                               .y_stride = args.y.row_stride,
                               .y_is_f32 = args.y.dtype == DType::f32,
                               .tokens = static_cast<int>(args.x.rows()),
                               .in = static_cast<int>(args.weight.in()),
                               .rows = args.weight.out(),
                               .alone = args.alone});
}

// Anything, slowly.
void multiply_rows(const CudaContext& context, const Exec& exec, const GemmArgs& args) {
  const TensorView& matrix = args.weight.matrix;
  gemm_rows::start(context, exec, matrix.dtype,
                   {.weight = matrix.data,
                    .weight_stride = matrix.row_stride,
                    .x = args.x.data,
                    .x_stride = args.x.row_stride,
                    .bias = bias_of(args),
                    .y = args.y.data,
                    .y_stride = args.y.row_stride,
                    .y_is_f32 = args.y.dtype == DType::f32,
                    .tokens = args.x.rows(),
                    .in = args.weight.in(),
                    .rows = args.weight.out()});
}

struct BiasedRows {
  void* y;
  std::int64_t y_stride;
  const float* bias;
  std::int64_t columns;
};

// y[t,:] += bias; a block of threads per token and 256 columns.
template <typename T>
__global__ void add_bias_kernel(const BiasedRows rows) {
  release_dependents();
  wait_for_predecessor();
  const std::int64_t column = std::int64_t{blockIdx.y} * blockDim.x + threadIdx.x;
  if (column < rows.columns) {
    T& y = static_cast<T*>(rows.y)[blockIdx.x * rows.y_stride + column];
    y = narrow<T>(widen(y) + rows.bias[column]);
  }
}

// The library's products: y was rounded before, and is again.
void add_bias(const CudaContext& context, const Exec& exec, const GemmArgs& args) {
  constexpr unsigned kThreads = 256;
  const std::int64_t columns = args.weight.out();
  const dim3 grid(static_cast<unsigned>(args.y.rows()),
                  static_cast<unsigned>((columns + kThreads - 1) / kThreads));
  with_cuda_type(args.y.dtype, [&](auto type) {
    launch(context, exec, "add_bias", &add_bias_kernel<decltype(type)>, grid, dim3(kThreads), 0,
           BiasedRows{.y = args.y.data,
                      .y_stride = args.y.row_stride,
                      .bias = static_cast<const float*>(args.bias.data),
                      .columns = columns});
  });
}

}  // namespace

void gemm_cuda(CudaContext& context, const Exec& exec, const GemmArgs& args) {
  const bool few = args.x.rows() <= skinny::kMostTokens && !context.gemm_tuning.library_only;
  if (few && multiply_few(context, exec, args)) {
    return;
  }
  if (few || !context.gemm_library->multiply(exec, args)) {
    return multiply_rows(context, exec, args);
  }
  if (!args.bias.empty()) {
    add_bias(context, exec, args);
  }
}

}  // namespace tutti
