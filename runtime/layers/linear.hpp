// Linear layers whose parallel role is their type.
#pragma once

#include "kernels/gemm.hpp"
#include "runtime/tensor/tensor.hpp"

namespace tutti {

// y_r = x W_r^T: each rank computes its own columns of the output. No communication.
class ColumnParallelLinear {
 public:
  explicit ColumnParallelLinear(Tensor weight);  // [out of this rank, in]

  // x [tokens, in], y [tokens, out of this rank].
  void forward(const Exec& exec, const TensorView& x, const TensorView& y) const;
  Weight weight() const { return {weight_.view()}; }
  std::int64_t out() const { return weight_.view().shape[0]; }
  std::size_t bytes() const { return weight_.view().bytes(); }

 private:
  Tensor weight_;
};

// y = sum_r x_r W_r^T: each rank holds its own columns of the input. One all-reduce, which takes
// the residual and the norm behind it along (Communicator::all_reduce_add_rmsnorm).
class RowParallelLinear {
 public:
  explicit RowParallelLinear(Tensor weight);  // [out, in of this rank]

  // x [tokens, in of this rank], y [tokens, out]: this rank's summand. No communication.
  void forward_summand(const Exec& exec, const TensorView& x, const TensorView& y) const;
  std::size_t bytes() const { return weight_.view().bytes(); }

 private:
  Tensor weight_;
};

}  // namespace tutti
