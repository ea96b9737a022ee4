// Attention for everything that tensor cores are not for: f32, and heads whose rows are not made of
// 16-byte pieces. One block a token and query head.
#pragma once

#include "kernels/attention_rows.cuh"
#include "kernels/cuda_launch.cuh"

namespace tutti {

inline constexpr int kPlainWarps = 8;
inline constexpr int kPlainMaxDim = 256;

struct PlainShared {
  float query[kPlainMaxDim];
  float sums[kPlainWarps][kPlainMaxDim];
  float largest[kPlainWarps];
  float total[kPlainWarps];
  int sequence;
};

__device__ inline float largest_of_warp(float x) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) {
    x = fmaxf(x, __shfl_xor_sync(kAllLanes, x, distance));
  }
  return x;
}
__device__ inline float sum_of_warp(float x) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) {
    x += __shfl_xor_sync(kAllLanes, x, distance);
  }
  return x;
}

// A warp's share of positions [first, limit): every eighth run of 32, a lane a key.
template <typename T, bool kExtras>
__device__ inline void plain_rounds(const PagedAttention<T>& p, int sequence, int kv_head,
                                    float slope, int limit, PlainShared& shared) {
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  float sums[kPlainMaxDim / 32] = {};
  float largest = -INFINITY;
  float total = 0;
  const int first = kExtras ? p.first_of(limit - 1) : 0;
  for (int begin = first + warp * 32; begin < limit; begin += kPlainWarps * 32) {
    const std::int64_t offset = row_offset(p, sequence, kv_head, begin + lane, limit);
    float score = -INFINITY;
    if (offset >= 0) {
      float sum = 0;
      for (int i = 0; i < p.head_dim; ++i) {
        sum = fmaf(shared.query[i], widen(p.k_pages[offset + i]), sum);
      }
      score = sum * p.scale;
      if constexpr (kExtras) {
        score = p.softcap > 0 ? p.softcap * tanhf(score / p.softcap) : score;
        score = fmaf(slope, static_cast<float>(begin + lane - (limit - 1)), score);
      }
    }
    const float top = fmaxf(largest, largest_of_warp(score));
    const float weight = expf(score - top);
    const float correction = expf(largest - top);
    largest = top;
    total = fmaf(total, correction, sum_of_warp(weight));
#pragma unroll
    for (int i = 0; i < kPlainMaxDim / 32; ++i) {
      sums[i] *= correction;
    }
    const int count = min(32, limit - begin);
    for (int j = 0; j < count; ++j) {
      const float factor = __shfl_sync(kAllLanes, weight, j);
      const T* const value = p.v_pages + __shfl_sync(kAllLanes, offset, j);
#pragma unroll
      for (int i = 0; i < kPlainMaxDim / 32; ++i) {
        const int column = 32 * i + lane;
        if (column < p.head_dim) {
          sums[i] = fmaf(factor, widen(value[column]), sums[i]);
        }
      }
    }
  }
#pragma unroll
  for (int i = 0; i < kPlainMaxDim / 32; ++i) {
    shared.sums[warp][32 * i + lane] = sums[i];
  }
  if (lane == 0) {
    shared.largest[warp] = largest;
    shared.total[warp] = total;
  }
}

// Block (token, query head); kExtras: with a window, soft cap or slopes.
template <typename T, bool kExtras>
__global__ void __launch_bounds__(kPlainWarps * 32) attend_plain(PagedAttention<T> p) {
  __shared__ PlainShared shared;
  release_dependents();
  const int token = blockIdx.x;
  const int head = blockIdx.y;
  const int kv_head = p.kv_of_q[head];
  wait_for_predecessor();
  if (threadIdx.x == 0) {
    shared.sequence = -1;
  }
  __syncthreads();
  for (int s = threadIdx.x; s < p.sequences; s += blockDim.x) {
    if (__ldcg(p.query_begin + s) <= token && token < __ldcg(p.query_begin + s + 1)) {
      shared.sequence = s;
    }
  }
  for (int i = threadIdx.x; i < p.head_dim; i += blockDim.x) {
    shared.query[i] = widen(p.q[token * p.q_stride + head * p.head_dim + i]);
  }
  __syncthreads();
  int limit = 0;
  if (shared.sequence >= 0) {
    const SequenceTokens tokens = tokens_of(p, shared.sequence);
    limit = tokens.context - tokens.count + (token - tokens.first) + 1;
  }
  if (limit > 0) {
    const float slope = kExtras ? p.slope(head) : 0.0f;
    plain_rounds<T, kExtras>(p, shared.sequence, kv_head, slope, limit, shared);
  }
  __syncthreads();
  for (int i = threadIdx.x; i < p.head_dim; i += blockDim.x) {
    float sum = 0;
    float total = 1;
    if (limit > 0) {
      float largest = -INFINITY;
      for (int w = 0; w < kPlainWarps; ++w) {
        largest = fmaxf(largest, shared.largest[w]);
      }
      total = 0;
      for (int w = 0; w < kPlainWarps; ++w) {
        const float factor = expf(shared.largest[w] - largest);
        total = fmaf(shared.total[w], factor, total);
        sum = fmaf(shared.sums[w][i], factor, sum);
      }
    }
    p.y[token * p.y_stride + head * p.head_dim + i] = narrow<T>(sum / total);
  }
}

}  // namespace tutti
