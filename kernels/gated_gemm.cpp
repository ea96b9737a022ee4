#include "kernels/gated_gemm.hpp"

#include "kernels/check.hpp"
#include "kernels/device_ops.hpp"
#include "kernels/gated_activation.hpp"
#include "kernels/gemm.hpp"

namespace tutti {

void gated_gemm(const Exec& exec, const GatedGemmArgs& args) {
  check_activation(exec, "gated_gemm", "x", args.x, {kAnyExtent, kAnyExtent});
  check_weight(exec, "gated_gemm", args.weight.matrix, kAnyExtent, args.x.shape[1]);
  check_that(args.weight.out() % 2 == 0, "gated_gemm",
             "the weight has {} rows, wanted an up row for each of the gate's", args.weight.out());
  const std::int64_t tokens = args.x.rows();
  const std::int64_t columns = args.weight.out() / 2;
  check_view(exec, "gated_gemm", "gate_up", args.gate_up, args.x.dtype, {tokens, 2 * columns});
  check_view(exec, "gated_gemm", "y", args.y, args.x.dtype, {tokens, columns});
  if (args.bias.dims != 0) {
    check_view(exec, "gated_gemm", "bias", args.bias, DType::f32, {2 * columns});
  }
  if (args.y.empty()) {
    return;
  }
  if (on_device(exec, "gated_gemm")) {
    check_that(args.x.dtype == args.weight.matrix.dtype, "gated_gemm",
               "x is {}, wanted the weight's {}", name_of(args.x.dtype),
               name_of(args.weight.matrix.dtype));
    return exec.ops->gated_gemm(exec, args);
  }
  gemm(exec, {.x = args.x, .weight = args.weight, .bias = args.bias, .y = args.gate_up});
  gated_activation(exec, {.gate_up = args.gate_up, .kind = args.kind, .y = args.y});
}

}  // namespace tutti
