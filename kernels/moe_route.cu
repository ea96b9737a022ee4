// A warp routes a token, all its experts in registers; one block sorts the pairs by expert. Few
// tokens are routed and sorted by one block at once.
#include <algorithm>

#include "kernels/cuda_launch.cuh"
#include "kernels/moe_route.hpp"

namespace tutti {
namespace {

constexpr int kRouteWarps = 4;
constexpr int kGroupThreads = 512;
constexpr int kGroupWarps = kGroupThreads / 32;
constexpr int kFewExperts = 128;  // kernels are compiled for so many and for kMostExperts
static_assert(kGroupThreads >= kMostExperts, "a thread an expert");
static_assert(kGroupWarps >= kRoutedAtOnce, "a warp a token");
static_assert(kExpertTile >= kRoutedAtOnce, "a tile an expert");
static_assert(kRoutedAtOnce * kMostChosen < 1 << 16, "two counts in a word");

struct Route {
  const float* logits;
  const int* slots;  // or null
  int* ids;
  float* weights;
  std::int64_t logits_stride;
  std::int64_t slots_stride;
  std::int64_t ids_stride;
  std::int64_t weights_stride;
  std::int64_t tokens;
  int experts;
  int top_k;
  bool renormalise;
};

Route route_of(const MoeRouteArgs& args) {
  return {.logits = static_cast<const float*>(args.logits.data),
          .slots = args.slots.dims == 0 ? nullptr : static_cast<const int*>(args.slots.data),
          .ids = static_cast<int*>(args.ids.data),
          .weights = static_cast<float*>(args.weights.data),
          .logits_stride = args.logits.row_stride,
          .slots_stride = args.slots.row_stride,
          .ids_stride = args.ids.row_stride,
          .weights_stride = args.weights.row_stride,
          .tokens = args.logits.rows(),
          .experts = static_cast<int>(args.logits.shape[1]),
          .top_k = static_cast<int>(args.ids.shape[1]),
          .renormalise = args.renormalise};
}

__device__ inline float sum_of_lanes(float x) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) {
    x += __shfl_xor_sync(0xffffffffu, x, distance);
  }
  return x;
}

__device__ inline float largest_of_lanes(float x) {
  // In the order of the numbers once the signs are turned.
  const unsigned bits = __float_as_uint(x);
  const unsigned most =
      __reduce_max_sync(0xffffffffu, bits ^ ((bits >> 31) != 0 ? 0xffffffffu : 0x80000000u));
  return __uint_as_float(most ^ ((most >> 31) != 0 ? 0x80000000u : 0xffffffffu));
}

// Routes a token with a warp, a lane holding kHeld experts, and returns what expert lane j < top_k
// was given as the j-th, or -1.
template <int kHeld>
__device__ inline int route_token(const Route& route, std::int64_t token) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int slot = route.slots != nullptr ? route.slots[token * route.slots_stride] : 0;
  float p[kHeld];
  float largest = -INFINITY;
#pragma unroll
  for (int i = 0; i < kHeld; ++i) {
    const int expert = 32 * i + lane;
    p[i] = expert < route.experts ? route.logits[token * route.logits_stride + expert] : -INFINITY;
    largest = fmaxf(largest, p[i]);
  }
  largest = largest_of_lanes(largest);
  unsigned keys[kHeld];  // in the order of p, which has no signs; 0: none, or taken
  float total = 0;
#pragma unroll
  for (int i = 0; i < kHeld; ++i) {
    p[i] = 32 * i + lane < route.experts ? expf(p[i] - largest) : 0.0f;
    keys[i] = 32 * i + lane < route.experts ? __float_as_uint(p[i]) + 1 : 0;
    total += p[i];
  }
  total = sum_of_lanes(total);
  float weight = 0;  // that this lane writes
  int id = 0;
  for (int j = 0; j < route.top_k; ++j) {
    unsigned most = keys[0];
#pragma unroll
    for (int i = 1; i < kHeld; ++i) {
      most = max(most, keys[i]);
    }
    most = __reduce_max_sync(0xffffffffu, most);
    unsigned expert = kMostExperts;  // the lowest number among equals
#pragma unroll
    for (int i = kHeld - 1; i >= 0; --i) {
      expert = keys[i] == most ? 32 * i + lane : expert;
    }
    expert = __reduce_min_sync(0xffffffffu, expert);
#pragma unroll
    for (int i = 0; i < kHeld; ++i) {
      keys[i] = 32 * i + lane == expert ? 0 : keys[i];
    }
    if (lane == j) {
      weight = __uint_as_float(most - 1);
      id = static_cast<int>(expert);
    }
  }
  weight /= total;
  float chosen = 0;
#pragma unroll
  for (int j = 0; j < kMostChosen; ++j) {
    chosen += __shfl_sync(0xffffffffu, weight, j);  // 0 from top_k on
  }
  if (slot < 0) {
    id = -1;
    weight = 0;
  } else if (route.renormalise) {
    weight /= chosen;
  }
  if (lane < route.top_k) {
    route.ids[token * route.ids_stride + lane] = id;
    route.weights[token * route.weights_stride + lane] = weight;
  }
  return id;
}

template <int kHeld>
__global__ void __launch_bounds__(kRouteWarps * 32) moe_route_kernel(Route route) {
  release_dependents();
  wait_for_predecessor();
  const std::int64_t token = std::int64_t{blockIdx.x} * kRouteWarps + threadIdx.x / 32;
  if (token < route.tokens) {
    route_token<kHeld>(route, token);
  }
}

struct Group {
  const int* ids;
  std::int64_t ids_stride;
  int pairs;
  int top_k;
  std::int64_t first;
  int experts;
  int* order;
  int* begin;
  int* tiles;
  int* active;

  // This rank's number of an expert, or -1.
  __device__ int local(int id) const {
    const std::int64_t expert = id - first;
    return id >= 0 && expert >= 0 && expert < experts ? static_cast<int>(expert) : -1;
  }
  // The lists' entries of an expert, known what lies before it. One thread an expert.
  __device__ void write(int expert, int count, int pairs_before, int tiles_before,
                        int active_before) const {
    begin[expert] = pairs_before;
    tiles[expert] = tiles_before;
    if (count > 0) {
      active[1 + active_before] = expert;
    }
    if (expert == experts - 1) {
      begin[experts] = pairs_before + count;
      tiles[experts] = tiles_before + (count + kExpertTile - 1) / kExpertTile;
      active[0] = active_before + (count > 0 ? 1 : 0);
    }
  }
};

Group group_of(const MoeGroupArgs& args) {
  const ExpertGroups& groups = args.groups;
  return {.ids = static_cast<const int*>(args.ids.data),
          .ids_stride = args.ids.row_stride,
          .pairs = static_cast<int>(groups.order.rows()),
          .top_k = groups.top_k,
          .first = args.first,
          .experts = static_cast<int>(groups.experts()),
          .order = static_cast<int*>(groups.order.data),
          .begin = static_cast<int*>(groups.begin.data),
          .tiles = static_cast<int*>(groups.tiles.data),
          .active = static_cast<int*>(groups.active.data)};
}

// The sum over the threads before this one. The whole block calls it.
__device__ inline int sum_before(int value, int (&of_warps)[kGroupWarps]) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  int sum = value;
#pragma unroll
  for (int distance = 1; distance < 32; distance *= 2) {
    const int other = __shfl_up_sync(0xffffffffu, sum, distance);
    sum += lane >= distance ? other : 0;
  }
  __syncthreads();  // nobody reads of_warps any more
  if (lane == 31) {
    of_warps[warp] = sum;
  }
  __syncthreads();
  return sum - value + __reduce_add_sync(0xffffffffu, lane < warp ? of_warps[lane] : 0);
}

// A warp a token, then a thread an expert. Pairs of an expert come in ascending order.
template <int kHeld>
__global__ void __launch_bounds__(kGroupThreads)
    moe_route_and_group_kernel(Route route, Group group) {
  __shared__ unsigned tokens_of[kMostExperts];  // of an expert, a bit each
  __shared__ int begin_of[kMostExperts];
  __shared__ int of_warps[kGroupWarps];
  release_dependents();
  const int thread = static_cast<int>(threadIdx.x);
  const int lane = thread % 32;
  const int token = thread / 32;
  tokens_of[thread] = 0;
  __syncthreads();
  wait_for_predecessor();
  int expert = -1;  // of the pair of this lane
  if (token < route.tokens) {
    const int id = route_token<kHeld>(route, token);
    expert = lane < route.top_k ? group.local(id) : -1;
    if (expert >= 0) {
      atomicOr(&tokens_of[expert], 1u << token);
    }
  }
  __syncthreads();
  const int count = __popc(tokens_of[thread]);
  const int before = sum_before(count | (count > 0 ? 1 << 16 : 0), of_warps);
  const int begin = before & 0xffff;
  const int active = before >> 16;
  begin_of[thread] = begin;
  __syncthreads();
  if (expert >= 0) {
    const int earlier = __popc(tokens_of[expert] & ((1u << token) - 1));
    group.order[begin_of[expert] + earlier] = token * group.top_k + lane;
  }
  if (thread < group.experts) {
    group.write(thread, count, begin, active, active);
  }
}

// use(pair, expert) for the pairs of this rank's experts, dealt out to the block's threads.
template <typename Use>
__device__ inline void for_each_pair(const Group& group, const Use& use) {
  constexpr int kAtOnce = 4;
  for (int from = static_cast<int>(threadIdx.x); from < group.pairs;
       from += kAtOnce * kGroupThreads) {
    int experts[kAtOnce];
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) {
      const int pair = from + i * kGroupThreads;
      experts[i] =
          pair < group.pairs
              ? group.local(group.ids[pair / group.top_k * group.ids_stride + pair % group.top_k])
              : -1;
    }
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) {
      if (experts[i] >= 0) {
        use(from + i * kGroupThreads, experts[i]);
      }
    }
  }
}

__global__ void __launch_bounds__(kGroupThreads) moe_group_kernel(Group group) {
  __shared__ int counts[kMostExperts];
  __shared__ int of_warps[kGroupWarps];
  release_dependents();
  const int thread = static_cast<int>(threadIdx.x);
  counts[thread] = 0;
  __syncthreads();
  wait_for_predecessor();
  for_each_pair(group, [&](int, int expert) { atomicAdd(&counts[expert], 1); });
  __syncthreads();
  const int count = counts[thread];
  const int begin = sum_before(count, of_warps);
  const int tiles = sum_before((count + kExpertTile - 1) / kExpertTile, of_warps);
  const int active = sum_before(count > 0 ? 1 : 0, of_warps);
  counts[thread] = begin;
  __syncthreads();
  for_each_pair(group,
                [&](int pair, int expert) { group.order[atomicAdd(&counts[expert], 1)] = pair; });
  if (thread < group.experts) {
    group.write(thread, count, begin, tiles, active);
  }
}

}  // namespace

void moe_route_cuda(CudaContext& context, const Exec& exec, const MoeRouteArgs& args) {
  const Route route = route_of(args);
  launch(context, exec, "moe_route",
         route.experts <= kFewExperts ? &moe_route_kernel<kFewExperts / 32>
                                      : &moe_route_kernel<kMostExperts / 32>,
         dim3(static_cast<unsigned>((route.tokens + kRouteWarps - 1) / kRouteWarps)),
         dim3(kRouteWarps * 32), 0, route);
}

void moe_group_cuda(CudaContext& context, const Exec& exec, const MoeGroupArgs& args) {
  if (args.groups.experts() > 0) {
    launch(context, exec, "moe_group", &moe_group_kernel, dim3(1), dim3(kGroupThreads), 0,
           group_of(args));
  }
}

void moe_route_and_group_cuda(CudaContext& context, const Exec& exec, const MoeRouteArgs& route,
                              const MoeGroupArgs& group) {
  const Route from = route_of(route);
  const Group to = group_of(group);
  const auto threads = std::max<std::int64_t>(from.tokens * 32, (to.experts + 31) / 32 * 32);
  launch(context, exec, "moe_route_and_group",
         from.experts <= kFewExperts ? &moe_route_and_group_kernel<kFewExperts / 32>
                                     : &moe_route_and_group_kernel<kMostExperts / 32>,
         dim3(1), dim3(static_cast<unsigned>(threads)), 0, from, to);
}

}  // namespace tutti
