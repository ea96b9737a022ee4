// Where the parts of attention of one token a sequence meet: the warps of a block, the blocks of a
// context that was split.
#pragma once

#include "kernels/attention_splits.cuh"
#include "kernels/cuda_vectors.cuh"

namespace tutti {

// Largest scaled score of a row over the warps, and the sum of its weights relative to that.
template <int kWarps>
__device__ inline float2 total_of_warps(const float2* warps, int row) {
  float largest = -INFINITY;
#pragma unroll
  for (int w = 0; w < kWarps; ++w) {
    largest = fmaxf(largest, warps[w * kDecodeRows + row].x);
  }
  float total = 0;
#pragma unroll
  for (int w = 0; w < kWarps; ++w) {
    const float2 part = warps[w * kDecodeRows + row];
    total = fmaf(part.y, exp2_fast(part.x - largest), total);
  }
  return {largest, total};
}

// Joins the warps' sums in shared memory; y where the context was not split, else this split's.
template <typename T, int kDim, int kWarps>
__device__ inline void join_warps(const PagedAttention<T>& p, const DecodeWork& work,
                                  const DecodeSplits& splits, std::byte* shared,
                                  const float (&sums)[kDim / 8][4], const SoftmaxRow (&rows)[2]) {
  using Layout = DecodeLayout<T, kDim, kWarps>;
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  float2* const warps =
      reinterpret_cast<float2*>(shared + Layout::kTileBytes + Layout::kQueryBytes);
  float* const joined = reinterpret_cast<float*>(shared);
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const float total = sum_of_row(rows[half].total);
    if (lane % 4 == 0) {
      warps[warp * kDecodeRows + 8 * half + lane / 4] = {rows[half].largest * p.scale_log2, total};
    }
  }
  __syncthreads();  // and nobody reads keys and values any more
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = 8 * half + lane / 4;
    if (row < work.head_count) {
      const float factor =
          exp2_fast(warps[warp * kDecodeRows + row].x - total_of_warps<kWarps>(warps, row).x);
#pragma unroll
      for (int n = 0; n < kDim / 8; ++n) {
        float2* const to = reinterpret_cast<float2*>(
            joined + (warp * kDecodeRows + row) * Layout::kSumStride + 8 * n + lane % 4 * 2);
        *to = {sums[n][2 * half] * factor, sums[n][2 * half + 1] * factor};
      }
    }
  }
  __syncthreads();
  const int vectors = p.head_dim / kLanes;
  for (int i = threadIdx.x; i < work.head_count * vectors; i += blockDim.x) {
    const int row = i / vectors;
    const int column = i % vectors * kLanes;
    float sum[kLanes] = {};
#pragma unroll
    for (int w = 0; w < kWarps; ++w) {
      float value[kLanes];
      load8(joined + (w * kDecodeRows + row) * Layout::kSumStride + column, value);
#pragma unroll
      for (int e = 0; e < kLanes; ++e) {
        sum[e] += value[e];
      }
    }
    const float2 total = total_of_warps<kWarps>(warps, row);
    const int head = work.heads[row];
    if (work.span.splits == 1) {
#pragma unroll
      for (int e = 0; e < kLanes; ++e) {
        sum[e] /= total.y;
      }
      store8(p.y + work.token * p.y_stride + head * p.head_dim + column, sum);
    } else {
      const std::int64_t part =
          (static_cast<std::int64_t>(work.sequence) * p.q_heads + head) * splits.splits +
          blockIdx.x;
      store8(splits.sums + part * p.head_dim + column, sum);
      if (column == 0) {
        splits.weights[part] = total;
      }
    }
  }
}

// True in the block whose split is the last to be there. The whole block calls it.
__device__ inline bool last_to_arrive(int* counter, int count) {
  __shared__ bool last;
  __syncthreads();
  if (threadIdx.x == 0) {
    __threadfence();  // what the block wrote is seen before its arrival is
    last = atomicAdd(counter, 1) == count - 1;
    if (last) {
      *counter = 0;
    }
    __threadfence();
  }
  __syncthreads();
  return last;
}

// y of one KV head's query heads from the sums of all splits, in their order. Vectors of columns,
// so that few splits are one round of loads for each thread.
template <typename T>
__device__ inline void join_splits(const PagedAttention<T>& p, const DecodeWork& work,
                                   const DecodeSplits& splits, int head_count) {
  constexpr int kAtOnce = 4;
  const int vectors = p.head_dim / kLanes;
  for (int i = threadIdx.x; i < head_count * vectors; i += blockDim.x) {
    const int head = work.heads[i / vectors];
    const int column = i % vectors * kLanes;
    const std::int64_t part =
        (static_cast<std::int64_t>(work.sequence) * p.q_heads + head) * splits.splits;
    const float2* const weights = splits.weights + part;
    const float* const sums = splits.sums + part * p.head_dim + column;
    float largest = -INFINITY;
    float total = 0;
    float sum[kLanes] = {};
    for (int begin = 0; begin < work.span.splits; begin += kAtOnce) {
      float2 weight[kAtOnce];
      float value[kAtOnce][kLanes] = {};
#pragma unroll
      for (int j = 0; j < kAtOnce; ++j) {
        weight[j] = {-INFINITY, 0.0f};
        if (begin + j < work.span.splits) {
          weight[j] = __ldcg(weights + begin + j);
          load8_of_others(sums + static_cast<std::int64_t>(begin + j) * p.head_dim, value[j]);
        }
      }
      float top = largest;
#pragma unroll
      for (int j = 0; j < kAtOnce; ++j) {
        top = fmaxf(top, weight[j].x);
      }
      const float correction = exp2_fast(largest - top);
      largest = top;
      total *= correction;
#pragma unroll
      for (int e = 0; e < kLanes; ++e) {
        sum[e] *= correction;
      }
#pragma unroll
      for (int j = 0; j < kAtOnce; ++j) {
        const float factor = exp2_fast(weight[j].x - top);
        total = fmaf(weight[j].y, factor, total);
#pragma unroll
        for (int e = 0; e < kLanes; ++e) {
          sum[e] = fmaf(value[j][e], factor, sum[e]);
        }
      }
    }
#pragma unroll
    for (int e = 0; e < kLanes; ++e) {
      sum[e] /= total;
    }
    store8(p.y + work.token * p.y_stride + head * p.head_dim + column, sum);
  }
}

}  // namespace tutti
