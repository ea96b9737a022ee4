#include "runtime/layers/mlp.hpp"

#include <utility>

#include "kernels/activation.hpp"
#include "kernels/gated_gemm.hpp"

namespace tutti {

Mlp::Mlp(ColumnParallelLinear in, RowParallelLinear down, Activation kind, bool gated)
    : in_(std::move(in)), down_(std::move(down)), kind_(kind), gated_(gated) {}

void Mlp::forward_summand(const Exec& exec, const Workspace& workspace, const TensorView& x,
                          const TensorView& y) const {
  if (gated_) {
    gated_gemm(exec, {.x = x,
                      .weight = in_.weight(),
                      .bias = in_.bias(),
                      .kind = kind_,
                      .gate_up = workspace.gate_up,
                      .y = workspace.gated});
  } else {
    in_.forward(exec, x, workspace.gated);
    activation(exec, {.x = workspace.gated, .kind = kind_});
  }
  down_.forward_summand(exec, workspace.gated, y);
}

}  // namespace tutti
