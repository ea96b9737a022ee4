// The feed-forward sublayer, with a gate (SwiGLU, GeGLU) or without: this rank's FFN columns.
#pragma once

#include "kernels/activation_kind.hpp"
#include "runtime/layers/linear.hpp"

namespace tutti {

class Mlp {
 public:
  // Gated: in [2 * columns, hidden], the gate's rows, then the up rows. Else in [columns, hidden].
  // down [hidden, columns].
  Mlp(ColumnParallelLinear in, RowParallelLinear down, Activation kind, bool gated);

  struct Workspace {
    TensorView gate_up;  // [tokens, 2 * columns] where it is gated
    TensorView gated;    // [tokens, columns]
  };

  // x and y [tokens, hidden]; y, which may be x, becomes this rank's summand. y is of x's type or
  // f32.
  void forward_summand(const Exec& exec, const Workspace& workspace, const TensorView& x,
                       const TensorView& y) const;
  std::size_t bytes() const { return in_.bytes() + down_.bytes(); }

 private:
  ColumnParallelLinear in_;
  RowParallelLinear down_;
  Activation kind_;
  bool gated_;
};

}  // namespace tutti
