#include "runtime/layers/linear.hpp"

#include <utility>

namespace tutti {

ColumnParallelLinear::ColumnParallelLinear(Tensor weight) : weight_(std::move(weight)) {}

void ColumnParallelLinear::forward(const Exec& exec, const TensorView& x,
                                   const TensorView& y) const {
  gemm(exec, {.x = x, .weight = {weight_.view()}, .bias = {}, .y = y});
}

RowParallelLinear::RowParallelLinear(Tensor weight, Communicator& group)
    : weight_(std::move(weight)), group_(&group) {}

void RowParallelLinear::forward(const Exec& exec, const TensorView& x, const TensorView& y) const {
  gemm(exec, {.x = x, .weight = {weight_.view()}, .bias = {}, .y = y});
  group_->all_reduce_sum(exec, y);
}

}  // namespace tutti
