// Few tokens stream the weights of the chosen experts; many go to tensor cores.
#include <algorithm>

#include "kernels/expert_gemm.hpp"
#include "kernels/expert_gemm_few.cuh"
#include "kernels/expert_gemm_many.cuh"

namespace tutti {
namespace {

// As for gemm: up to here a pair's bits depend on nothing but its own row.
constexpr std::int64_t kFewTokens = 16;

template <typename T>
expert_gemm_few::Args<T> few_args(const ExpertGemmArgs& args) {
  const auto ints = [](const TensorView& view) { return static_cast<const int*>(view.data); };
  const ExpertGroups& groups = args.groups;
  const std::int64_t in = args.x.shape[1];
  return {.x = static_cast<const T*>(args.x.data),
          .x_stride = args.x.row_stride,
          .pairs_of_row = args.x.rows() == args.y.rows() ? 1 : groups.top_k,
          .weights = static_cast<const T*>(args.weights.data),
          .expert_stride = args.weights.row_stride,
          .up = args.gated ? args.y.shape[1] * in : 0,
          .order = ints(groups.order),
          .begin = ints(groups.begin),
          .active = ints(groups.active),
          .groups_settled = args.groups_settled,
          .y = static_cast<T*>(args.y.data),
          .y_stride = args.y.row_stride,
          .in = static_cast<int>(in),
          .columns = static_cast<int>(args.y.shape[1]),
          .kind = args.kind};
}

// Rows of whole 16-byte pieces.
bool in_pieces(const TensorView& view, std::int64_t in) {
  return reinterpret_cast<std::uintptr_t>(view.data) % 16 == 0 && view.row_stride % kLanes == 0 &&
         in % kLanes == 0;
}

template <typename T, bool kGated>
void multiply(CudaContext& context, const Exec& exec, const ExpertGemmArgs& args) {
  const std::int64_t in = args.x.shape[1];
  const std::int64_t pairs = args.groups.order.rows();
  const std::int64_t experts = args.groups.experts();
  const bool pieces = in_pieces(args.x, in) && in_pieces(args.weights, in);
  const bool few =
      pairs <= kFewTokens * args.groups.top_k || pairs <= expert_gemm_few::kMostPairs * experts;
  const std::int64_t most_active = std::min(pairs, experts);
  if constexpr (sizeof(T) == 2) {
    if (!few && pieces && expert_gemm_many::shared_bytes<T, kGated>() <= context.shared_bytes) {
      return expert_gemm_many::start<T, kGated>(
          context, exec,
          {.few = few_args<T>(args),
           .tiles = static_cast<const int*>(args.groups.tiles.data),
           .experts = static_cast<int>(experts)},
          pairs / kExpertTile + most_active);
    }
  }
  expert_gemm_few::start<T, kGated>(context, exec, few_args<T>(args), pieces,
                                    pairs <= args.groups.top_k, most_active);
}

}  // namespace

void expert_gemm_cuda(CudaContext& context, const Exec& exec, const ExpertGemmArgs& args) {
  with_cuda_type(args.x.dtype, [&](auto zero) {
    using T = decltype(zero);
    if (args.gated) {
      multiply<T, true>(context, exec, args);
    } else {
      multiply<T, false>(context, exec, args);
    }
  });
}

}  // namespace tutti
