#include "runtime/layers/norm.hpp"

#include <utility>

#include "kernels/layernorm.hpp"
#include "kernels/residual_add.hpp"
#include "kernels/rmsnorm.hpp"

namespace tutti {

Norm::Norm(NormKind kind, float eps, Tensor weight, Tensor bias)
    : kind_(kind), eps_(eps), weight_(std::move(weight)), bias_(std::move(bias)) {}

void Norm::forward(const Exec& exec, const TensorView& x, const TensorView& y) const {
  if (kind_ == NormKind::layer) {
    layernorm(exec, {.x = x, .weight = weight(), .bias = bias(), .eps = eps_, .y = y});
  } else {
    rmsnorm(exec, {.x = x, .weight = weight(), .eps = eps_, .y = y});
  }
}

void join_residual(const Exec& exec, Communicator& group, const Norm& post, const Norm& next,
                   const JoinArgs& args) {
  const auto& [x, residual, scale] = args;
  if (post.empty() && !next.empty() && next.kind() == NormKind::rms && scale == 1) {
    group.all_reduce_add_rmsnorm(
        exec, {.x = x, .residual = residual, .weight = next.weight(), .eps = next.eps(), .y = x});
    return;
  }
  group.all_reduce_sum(exec, x);
  if (!post.empty()) {
    add_normed(exec, {.x = x,
                      .post_weight = post.weight(),
                      .residual = residual,
                      .weight = next.weight(),
                      .eps = post.eps(),
                      .y = x});
  } else if (!next.empty() && next.kind() == NormKind::layer && scale == 1) {
    add_layernorm(exec, {.x = x,
                         .residual = residual,
                         .weight = next.weight(),
                         .bias = next.bias(),
                         .eps = next.eps(),
                         .y = x});
  } else if (next.empty()) {
    residual_add(exec, {.x = x, .scale = scale, .residual = residual, .y = x});
  } else {
    residual_add(exec, {.x = x, .scale = scale, .residual = residual});
    next.forward(exec, residual, x);
  }
}

}  // namespace tutti
