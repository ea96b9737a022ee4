#include "kernels/gemm_library.cuh"
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
                               .rows = args.weight.out()});
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

}  // namespace

void gemm_cuda(CudaContext& context, const Exec& exec, const GemmArgs& args) {
  const bool few = args.x.rows() <= skinny::kMostTokens && !context.gemm_tuning.library_only;
  if (few && multiply_few(context, exec, args)) {
    return;
  }
  if (!few && context.gemm_library->multiply(context, exec, args)) {
    return;
  }
  multiply_rows(context, exec, args);
}

}  // namespace tutti
