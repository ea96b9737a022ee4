#include "kernels/moe_combine.hpp"

#include <cmath>

#include "kernels/check.hpp"
#include "kernels/device_ops.hpp"
#include "kernels/expert_groups.hpp"
#include "kernels/multiversion.hpp"

namespace tutti {
namespace {

// y (+)= weight * x
struct AddWeighted {
  template <int W>
  static TUTTI_INLINE void run(const float* x, float weight, float* y, std::int64_t dim, bool add) {
    for (std::int64_t i = 0; i < dim; ++i) {
      y[i] = (add ? y[i] : 0.0f) + weight * x[i];
    }
  }
};

void combine_token(const MoeCombineArgs& args, std::int64_t t) {
  const std::int64_t dim = args.y.shape[1];
  const std::int64_t top_k = args.ids.shape[1];
  float* y = args.y.row<float>(t);
  bool add = false;
  if (args.shared.dims != 0) {  // first: y may be where it lies
    const float weight = args.shared_gate.dims == 0
                             ? 1.0f
                             : 1.0f / (1.0f + std::exp(-*args.shared_gate.row<float>(t)));
    multiversion<AddWeighted>(static_cast<const float*>(args.shared.row<float>(t)), weight, y, dim,
                              false);
    add = true;
  }
  for (std::int64_t j = 0; j < top_k; ++j) {
    const std::int64_t expert = args.ids.row<std::int32_t>(t)[j];
    if (expert >= args.first && expert < args.first + args.experts) {
      multiversion<AddWeighted>(static_cast<const float*>(args.x.row<float>(t * top_k + j)),
                                float{args.weights.row<float>(t)[j]}, y, dim, bool{add});
      add = true;
    }
  }
  for (std::int64_t i = 0; i < dim && !add; ++i) {
    y[i] = 0;
  }
}

}  // namespace

void moe_combine(const Exec& exec, const MoeCombineArgs& args) {
  constexpr const char* op = "moe_combine";
  check_activation(exec, op, "y", args.y, {kAnyExtent, kAnyExtent});
  const std::int64_t tokens = args.y.rows();
  const std::int64_t dim = args.y.shape[1];
  check_view(exec, op, "ids", args.ids, DType::i32, {tokens, kAnyExtent});
  const std::int64_t top_k = args.ids.shape[1];
  check_that(top_k <= kMostChosen, op, "{} experts a token, wanted at most {}", top_k, kMostChosen);
  check_view(exec, op, "weights", args.weights, DType::f32, {tokens, top_k});
  check_view(exec, op, "x", args.x, args.y.dtype, {tokens * top_k, dim});
  if (args.shared.dims != 0) {
    check_view(exec, op, "shared", args.shared, args.y.dtype, {tokens, dim});
  }
  if (args.shared_gate.dims != 0) {
    check_view(exec, op, "shared_gate", args.shared_gate, DType::f32, {tokens, 1});
  }
  if (on_device(exec, op)) {
    return exec.ops->moe_combine(exec, args);
  }
  [[maybe_unused]] const int threads = threads_for(exec, tokens * dim * (top_k + 1));
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
  for (std::int64_t t = 0; t < tokens; ++t) {
    combine_token(args, t);
  }
}

}  // namespace tutti
