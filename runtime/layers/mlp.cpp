#include "runtime/layers/mlp.hpp"

#include <utility>

#include "kernels/gated_gemm.hpp"

namespace tutti {

GatedMlp::GatedMlp(ColumnParallelLinear gate_up, RowParallelLinear down)
    : gate_up_(std::move(gate_up)), down_(std::move(down)) {}

void GatedMlp::forward_summand(const Exec& exec, const Workspace& workspace, const TensorView& x,
                               const TensorView& y) const {
  gated_gemm(
      exec,
      {.x = x, .weight = gate_up_.weight(), .gate_up = workspace.gate_up, .y = workspace.gated});
  down_.forward_summand(exec, workspace.gated, y);
}

}  // namespace tutti
