#include "kernels/moe_route.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/check.hpp"
#include "kernels/device_ops.hpp"

namespace tutti {
namespace {

void route_token(const MoeRouteArgs& args, std::int64_t t) {
  const std::int64_t experts = args.logits.shape[1];
  const std::int64_t top_k = args.ids.shape[1];
  const float* logits = args.logits.row<float>(t);
  std::int32_t* ids = args.ids.row<std::int32_t>(t);
  float* weights = args.weights.row<float>(t);
  if (args.slots.dims != 0 && *args.slots.row<std::int32_t>(t) < 0) {
    std::fill_n(ids, top_k, -1);
    std::fill_n(weights, top_k, 0.0f);
    return;
  }
  const float largest = *std::max_element(logits, logits + experts);
  std::array<float, kMostExperts> p;
  float total = 0;
  for (std::int64_t e = 0; e < experts; ++e) {
    p[std::size_t(e)] = std::exp(logits[e] - largest);
    total += p[std::size_t(e)];
  }
  float chosen = 0;
  for (std::int64_t j = 0; j < top_k; ++j) {
    const auto best = std::max_element(p.begin(), p.begin() + experts);
    ids[j] = static_cast<std::int32_t>(best - p.begin());
    weights[j] = *best / total;
    chosen += weights[j];
    *best = -1;
  }
  for (std::int64_t j = 0; j < top_k && args.renormalise; ++j) {
    weights[j] /= chosen;
  }
}

void group_pairs(const MoeGroupArgs& args) {
  const ExpertGroups& groups = args.groups;
  const std::int64_t experts = groups.experts();
  auto* order = static_cast<std::int32_t*>(groups.order.data);
  auto* begin = static_cast<std::int32_t*>(groups.begin.data);
  auto* tiles = static_cast<std::int32_t*>(groups.tiles.data);
  auto* active = static_cast<std::int32_t*>(groups.active.data);
  std::int32_t pairs = 0;
  std::int32_t used = 0;
  begin[0] = tiles[0] = 0;
  for (std::int64_t e = 0; e < experts; ++e) {
    for (std::int64_t t = 0; t < args.ids.rows(); ++t) {
      for (std::int64_t j = 0; j < groups.top_k; ++j) {
        if (args.ids.row<std::int32_t>(t)[j] == args.first + e) {
          order[pairs++] = static_cast<std::int32_t>(t * groups.top_k + j);
        }
      }
    }
    begin[e + 1] = pairs;
    tiles[e + 1] = tiles[e] + (pairs - begin[e] + kExpertTile - 1) / kExpertTile;
    if (pairs > begin[e]) {
      active[++used] = static_cast<std::int32_t>(e);
    }
  }
  active[0] = used;
}

void check_route(const Exec& exec, const char* op, const MoeRouteArgs& args) {
  check_view(exec, op, "logits", args.logits, DType::f32, {kAnyExtent, kAnyExtent});
  const std::int64_t tokens = args.logits.rows();
  const std::int64_t experts = args.logits.shape[1];
  check_view(exec, op, "ids", args.ids, DType::i32, {tokens, kAnyExtent});
  const std::int64_t top_k = args.ids.shape[1];
  check_that(experts <= kMostExperts && top_k >= 1 && top_k <= kMostChosen && top_k <= experts, op,
             "{} of {} experts a token, wanted at most {} of at most {}", top_k, experts,
             kMostChosen, kMostExperts);
  check_view(exec, op, "weights", args.weights, DType::f32, {tokens, top_k});
  if (args.slots.dims != 0) {
    check_view(exec, op, "slots", args.slots, DType::i32, {tokens});
  }
}

void check_group(const Exec& exec, const char* op, const MoeGroupArgs& args) {
  const ExpertGroups& groups = args.groups;
  check_view(exec, op, "ids", args.ids, DType::i32, {kAnyExtent, groups.top_k});
  check_view(exec, op, "begin", groups.begin, DType::i32, {kAnyExtent});
  const std::int64_t experts = groups.experts();
  check_that(experts >= 0 && experts <= kMostExperts && args.first >= 0 && groups.top_k > 0, op,
             "experts {}..{} with {} a token, wanted at most {} and at least one a token",
             args.first, args.first + experts, groups.top_k, kMostExperts);
  check_view(exec, op, "order", groups.order, DType::i32, {args.ids.rows() * groups.top_k});
  check_view(exec, op, "tiles", groups.tiles, DType::i32, {experts + 1});
  check_view(exec, op, "active", groups.active, DType::i32, {experts + 1});
  for (const TensorView* list : {&groups.order, &groups.begin, &groups.tiles, &groups.active}) {
    check_that(list->contiguous(), op, "a list of groups has a stride of {}, wanted 1",
               list->row_stride);
  }
}

}  // namespace

void moe_route(const Exec& exec, const MoeRouteArgs& args) {
  constexpr const char* op = "moe_route";
  check_route(exec, op, args);
  if (on_device(exec, op)) {
    return exec.ops->moe_route(exec, args);
  }
  const std::int64_t tokens = args.logits.rows();
  const std::int64_t experts = args.logits.shape[1];
  [[maybe_unused]] const int threads = threads_for(exec, tokens * experts * 8);
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
  for (std::int64_t t = 0; t < tokens; ++t) {
    route_token(args, t);
  }
}

void moe_group(const Exec& exec, const MoeGroupArgs& args) {
  constexpr const char* op = "moe_group";
  check_group(exec, op, args);
  if (on_device(exec, op)) {
    return exec.ops->moe_group(exec, args);
  }
  group_pairs(args);
}

void moe_route_and_group(const Exec& exec, const MoeRouteArgs& route, std::int64_t first,
                         const ExpertGroups& groups) {
  constexpr const char* op = "moe_route_and_group";
  const MoeGroupArgs group{.ids = route.ids, .first = first, .groups = groups};
  if (on_device(exec, op) && route.logits.rows() <= kRoutedAtOnce && groups.experts() > 0) {
    check_route(exec, op, route);
    check_group(exec, op, group);
    return exec.ops->moe_route_and_group(exec, route, group);
  }
  moe_route(exec, route);
  moe_group(exec, group);
}

}  // namespace tutti
