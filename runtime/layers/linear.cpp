#include "runtime/layers/linear.hpp"

#include <utility>

namespace tutti {

ColumnParallelLinear::ColumnParallelLinear(Tensor weight) : weight_(std::move(weight)) {}

void ColumnParallelLinear::forward(const Exec& exec, const TensorView& x,
                                   const TensorView& y) const {
  gemm(exec, {.x = x, .weight = {weight_.view()}, .bias = {}, .y = y});
}

RowParallelLinear::RowParallelLinear(Tensor weight) : weight_(std::move(weight)) {}

void RowParallelLinear::forward_summand(const Exec& exec, const TensorView& x,
                                        const TensorView& y) const {
  gemm(exec, {.x = x, .weight = {weight_.view()}, .bias = {}, .y = y, .alone = true});
}

}  // namespace tutti
