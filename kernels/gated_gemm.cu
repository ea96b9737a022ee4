// Few tokens take one kernel for both products and the gate; many a product and gated_activation.
#include "kernels/skinny_gemm.cuh"

namespace tutti {
namespace {

template <Activation kKind>
bool multiply_few(const CudaContext& context, const Exec& exec, const GatedGemmArgs& args) {
  const TensorView& matrix = args.weight.matrix;
  if (context.gemm_tuning.library_only || !skinny::takes(args.x, matrix)) {
    return false;
  }
  const std::int64_t columns = args.weight.out() / 2;
  return skinny::start<true, kKind>(context, exec, matrix.dtype,
                                    {.weight = matrix.data,
                                     .weight_stride = matrix.row_stride,
                                     .up = columns * matrix.row_stride,
                                     .x = args.x.data,
                                     .x_stride = args.x.row_stride,
                                     .y = args.y.data,
                                     .y_stride = args.y.row_stride,
                                     .y_is_f32 = false,
                                     .tokens = static_cast<int>(args.x.rows()),
                                     .in = static_cast<int>(args.weight.in()),
                                     .rows = columns});
}

}  // namespace

void gated_gemm_cuda(CudaContext& context, const Exec& exec, const GatedGemmArgs& args) {
  bool done = false;
  if (args.bias.dims == 0 && args.kind == Activation::silu) {
    done = multiply_few<Activation::silu>(context, exec, args);
  } else if (args.bias.dims == 0 && args.kind == Activation::gelu_tanh) {
    done = multiply_few<Activation::gelu_tanh>(context, exec, args);
  }
  if (!done) {
    gemm_cuda(context, exec,
              {.x = args.x, .weight = args.weight, .bias = args.bias, .y = args.gate_up});
    gated_activation_cuda(context, exec, {.gate_up = args.gate_up, .kind = args.kind, .y = args.y});
  }
}

}  // namespace tutti
