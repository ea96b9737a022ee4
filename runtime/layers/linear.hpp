// Linear layers whose parallel role is their type.
#pragma once

#include "kernels/gemm.hpp"
#include "runtime/tensor/tensor.hpp"

namespace tutti {

// y_r = x W_r^T + b_r: each rank computes its own columns of the output. No communication.
class ColumnParallelLinear {
 public:
  // weight [out of this rank, in]; bias [out of this rank] f32, or empty.
  explicit ColumnParallelLinear(Tensor weight, Tensor bias = {});

  // x [tokens, in], y [tokens, out of this rank].
  void forward(const Exec& exec, const TensorView& x, const TensorView& y) const;
  Weight weight() const { return {weight_.view()}; }
  const TensorView& bias() const { return bias_.view(); }
  std::int64_t out() const { return weight_.view().shape[0]; }
  std::size_t bytes() const { return weight_.bytes() + bias_.bytes(); }

 private:
  Tensor weight_;
  Tensor bias_;
};

// y = sum_r x_r W_r^T + b: each rank holds its own columns of the input, rank 0 the bias. One
// all-reduce, which takes the residual and the norm behind it along
// (Communicator::all_reduce_add_rmsnorm).
class RowParallelLinear {
 public:
  // weight [out, in of this rank]; bias [out] f32 on rank 0, empty on the others.
  explicit RowParallelLinear(Tensor weight, Tensor bias = {});

  // x [tokens, in of this rank], y [tokens, out]: this rank's summand. No communication.
  void forward_summand(const Exec& exec, const TensorView& x, const TensorView& y) const;
  std::size_t bytes() const { return weight_.bytes() + bias_.bytes(); }

 private:
  Tensor weight_;
  Tensor bias_;
};

}  // namespace tutti
