// A warp routes a token, all its experts in registers; one block sorts the pairs by expert.
#include "kernels/cuda_launch.cuh"
#include "kernels/moe_route.hpp"

namespace tutti {
namespace {

constexpr int kRouteWarps = 4;
constexpr int kOfLane = kMostExperts / 32;
constexpr int kGroupThreads = 512;
static_assert(kGroupThreads == kMostExperts, "a thread an expert");

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

__device__ inline float sum_of_lanes(float x) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) {
    x += __shfl_xor_sync(0xffffffffu, x, distance);
  }
  return x;
}

struct Best {
  float value;
  int expert;
};

// The largest over the lanes, the lower number among equals.
__device__ inline Best best_of_lanes(Best best) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) {
    const float value = __shfl_xor_sync(0xffffffffu, best.value, distance);
    const int expert = __shfl_xor_sync(0xffffffffu, best.expert, distance);
    if (value > best.value || (value == best.value && expert < best.expert)) {
      best = {value, expert};
    }
  }
  return best;
}

__global__ void __launch_bounds__(kRouteWarps * 32) moe_route_kernel(Route route) {
  release_dependents();
  wait_for_predecessor();
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const std::int64_t token = std::int64_t{blockIdx.x} * kRouteWarps + threadIdx.x / 32;
  if (token >= route.tokens) {
    return;
  }
  int* const ids = route.ids + token * route.ids_stride;
  float* const weights = route.weights + token * route.weights_stride;
  if (route.slots != nullptr && route.slots[token * route.slots_stride] < 0) {
    if (lane < route.top_k) {
      ids[lane] = -1;
      weights[lane] = 0;
    }
    return;
  }
  float p[kOfLane];
  float largest = -INFINITY;
#pragma unroll
  for (int i = 0; i < kOfLane; ++i) {
    const int expert = 32 * i + lane;
    p[i] = expert < route.experts ? route.logits[token * route.logits_stride + expert] : -INFINITY;
    largest = fmaxf(largest, p[i]);
  }
  largest = best_of_lanes({largest, lane}).value;
  float total = 0;
#pragma unroll
  for (int i = 0; i < kOfLane; ++i) {
    p[i] = 32 * i + lane < route.experts ? expf(p[i] - largest) : -1.0f;
    total += fmaxf(p[i], 0.0f);
  }
  total = sum_of_lanes(total);
  float mine = 0;  // the weight that this lane writes
  int id = 0;
  float chosen = 0;
  for (int j = 0; j < route.top_k; ++j) {
    Best best = {-1.0f, kMostExperts};
#pragma unroll
    for (int i = 0; i < kOfLane; ++i) {
      if (p[i] > best.value) {
        best = {p[i], 32 * i + lane};
      }
    }
    best = best_of_lanes(best);
    chosen += best.value / total;
    if (lane == j) {
      mine = best.value / total;
      id = best.expert;
    }
#pragma unroll
    for (int i = 0; i < kOfLane; ++i) {
      p[i] = 32 * i + lane == best.expert ? -1.0f : p[i];
    }
  }
  if (lane < route.top_k) {
    ids[lane] = id;
    weights[lane] = route.renormalise ? mine / chosen : mine;
  }
}

struct Group {
  const int* ids;
  std::int64_t ids_stride;
  std::int64_t pairs;
  int top_k;
  std::int64_t first;
  int experts;
  int* order;
  int* begin;
  int* tiles;
  int* active;
};

// This rank's number of a pair's expert, or -1.
__device__ inline int expert_of(const Group& group, std::int64_t pair) {
  const int id = group.ids[pair / group.top_k * group.ids_stride + pair % group.top_k];
  const std::int64_t expert = id - group.first;
  return id >= 0 && expert >= 0 && expert < group.experts ? static_cast<int>(expert) : -1;
}

// The sum over the threads before this one. The whole block calls it.
__device__ inline int sum_before(int value, int (&shared)[kGroupThreads]) {
  __syncthreads();
  shared[threadIdx.x] = value;
  __syncthreads();
  for (int distance = 1; distance < kGroupThreads; distance *= 2) {
    const int other =
        static_cast<int>(threadIdx.x) >= distance ? shared[threadIdx.x - distance] : 0;
    __syncthreads();
    shared[threadIdx.x] += other;
    __syncthreads();
  }
  return shared[threadIdx.x] - value;
}

__global__ void __launch_bounds__(kGroupThreads) moe_group_kernel(Group group) {
  __shared__ int counts[kGroupThreads];
  __shared__ int shared[kGroupThreads];
  release_dependents();
  wait_for_predecessor();
  const int thread = static_cast<int>(threadIdx.x);
  counts[thread] = 0;
  __syncthreads();
  for (std::int64_t pair = thread; pair < group.pairs; pair += kGroupThreads) {
    const int expert = expert_of(group, pair);
    if (expert >= 0) {
      atomicAdd(&counts[expert], 1);
    }
  }
  __syncthreads();
  const int count = counts[thread];
  const int tiles = (count + kExpertTile - 1) / kExpertTile;
  const int begin = sum_before(count, shared);
  const int tiles_before = sum_before(tiles, shared);
  const int active = sum_before(count > 0 ? 1 : 0, shared);
  if (thread < group.experts) {
    group.begin[thread] = begin;
    group.tiles[thread] = tiles_before;
    if (count > 0) {
      group.active[1 + active] = thread;
    }
    if (thread == group.experts - 1) {
      group.begin[group.experts] = begin + count;
      group.tiles[group.experts] = tiles_before + tiles;
      group.active[0] = active + (count > 0 ? 1 : 0);
    }
  }
  counts[thread] = begin;
  __syncthreads();
  for (std::int64_t pair = thread; pair < group.pairs; pair += kGroupThreads) {
    const int expert = expert_of(group, pair);
    if (expert >= 0) {
      group.order[atomicAdd(&counts[expert], 1)] = static_cast<int>(pair);
    }
  }
}

}  // namespace

void moe_route_cuda(CudaContext& context, const Exec& exec, const MoeRouteArgs& args) {
  const std::int64_t tokens = args.logits.rows();
  launch(context, exec, "moe_route", &moe_route_kernel,
         dim3(static_cast<unsigned>((tokens + kRouteWarps - 1) / kRouteWarps)),
         dim3(kRouteWarps * 32), 0,
         Route{.logits = static_cast<const float*>(args.logits.data),
               .slots = args.slots.dims == 0 ? nullptr : static_cast<const int*>(args.slots.data),
               .ids = static_cast<int*>(args.ids.data),
               .weights = static_cast<float*>(args.weights.data),
               .logits_stride = args.logits.row_stride,
               .slots_stride = args.slots.row_stride,
               .ids_stride = args.ids.row_stride,
               .weights_stride = args.weights.row_stride,
               .tokens = tokens,
               .experts = static_cast<int>(args.logits.shape[1]),
               .top_k = static_cast<int>(args.ids.shape[1]),
               .renormalise = args.renormalise});
}

void moe_group_cuda(CudaContext& context, const Exec& exec, const MoeGroupArgs& args) {
  const ExpertGroups& groups = args.groups;
  if (groups.experts() == 0) {
    return;
  }
  launch(context, exec, "moe_group", &moe_group_kernel, dim3(1), dim3(kGroupThreads), 0,
         Group{.ids = static_cast<const int*>(args.ids.data),
               .ids_stride = args.ids.row_stride,
               .pairs = args.ids.rows() * groups.top_k,
               .top_k = groups.top_k,
               .first = args.first,
               .experts = static_cast<int>(groups.experts()),
               .order = static_cast<int*>(groups.order.data),
               .begin = static_cast<int*>(groups.begin.data),
               .tiles = static_cast<int*>(groups.tiles.data),
               .active = static_cast<int*>(groups.active.data)});
}

}  // namespace tutti
