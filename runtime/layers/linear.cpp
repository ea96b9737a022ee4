#include "runtime/layers/linear.hpp"

#include <utility>

namespace tutti {

ColumnParallelLinear::ColumnParallelLinear(Tensor weight, Tensor bias)
    : weight_(std::move(weight)), bias_(std::move(bias)) {}

void ColumnParallelLinear::forward(const Exec& exec, const TensorView& x,
                                   const TensorView& y) const {
  gemm(exec, {.x = x, .weight = {weight_.view()}, .bias = bias_.view(), .y = y});
}

RowParallelLinear::RowParallelLinear(Tensor weight, Tensor bias)
    : weight_(std::move(weight)), bias_(std::move(bias)) {}

void RowParallelLinear::forward_summand(const Exec& exec, const TensorView& x,
                                        const TensorView& y) const {
  gemm(exec, {.x = x, .weight = {weight_.view()}, .bias = bias_.view(), .y = y, .alone = true});
}

}  // namespace tutti
