#include "runtime/layers/mlp.hpp"

#include <utility>

#include "kernels/silu_mul.hpp"

namespace tutti {

GatedMlp::GatedMlp(ColumnParallelLinear gate_up, RowParallelLinear down)
    : gate_up_(std::move(gate_up)), down_(std::move(down)) {}

void GatedMlp::forward(const Exec& exec, const Workspace& workspace, const TensorView& x,
                       const TensorView& y) const {
  gate_up_.forward(exec, x, workspace.gate_up);
  silu_mul(exec, {.gate_up = workspace.gate_up, .y = workspace.gated});
  down_.forward(exec, workspace.gated, y);
}

}  // namespace tutti
