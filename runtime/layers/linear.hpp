// Linear layers whose parallel role is their type.
#pragma once

#include "kernels/gemm.hpp"
#include "runtime/comm/communicator.hpp"
#include "runtime/tensor/tensor.hpp"

namespace tutti {

// y_r = x W_r^T: each rank computes its own columns of the output. No communication.
class ColumnParallelLinear {
 public:
  explicit ColumnParallelLinear(Tensor weight);  // [out of this rank, in]

  // x [tokens, in] f32, y [tokens, out of this rank] f32.
  void forward(const Exec& exec, const TensorView& x, const TensorView& y) const;
  std::int64_t out() const { return weight_.view().shape[0]; }
  std::size_t bytes() const { return weight_.view().bytes(); }

 private:
  Tensor weight_;
};

// y = sum_r x_r W_r^T: each rank holds its own columns of the input. One all-reduce.
class RowParallelLinear {
 public:
  RowParallelLinear(Tensor weight, Communicator& group);  // [out, in of this rank]

  // Collective: all ranks, same order; enqueued on exec.stream.
  // x [tokens, in of this rank] f32, y [tokens, out] f32, the same on all ranks.
  void forward(const Exec& exec, const TensorView& x, const TensorView& y) const;
  std::size_t bytes() const { return weight_.view().bytes(); }

 private:
  Tensor weight_;
  Communicator* group_;
};

}  // namespace tutti
