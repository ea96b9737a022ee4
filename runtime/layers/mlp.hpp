// The gated feed-forward sublayer (SwiGLU): this rank's FFN columns.
#pragma once

#include "runtime/layers/linear.hpp"

namespace tutti {

class GatedMlp {
 public:
  // gate_up [2 * columns, hidden]: the gate's rows, then the up rows; down [hidden, columns].
  GatedMlp(ColumnParallelLinear gate_up, RowParallelLinear down);

  struct Workspace {
    TensorView gate_up;  // [tokens, 2 * columns]
    TensorView gated;    // [tokens, columns]
  };

  // x and y [tokens, hidden]; y, which may be x, becomes this rank's summand.
  void forward_summand(const Exec& exec, const Workspace& workspace, const TensorView& x,
                       const TensorView& y) const;
  std::size_t bytes() const { return gate_up_.bytes() + down_.bytes(); }

 private:
  ColumnParallelLinear gate_up_;
  RowParallelLinear down_;
};

}  // namespace tutti
