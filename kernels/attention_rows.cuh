// What the kernels of attention share: their arguments, which rows and pages a block works on, and
// one round of the softmax on accumulators of tensor cores.
#pragma once

#include "kernels/attention_mma.cuh"

namespace tutti {

inline constexpr int kAttentionMaxHeads = 512;  // query heads of one rank, for tensor cores

// AttentionArgs as kernels take them. T is what CudaType has.
template <typename T>
struct PagedAttention {
  const T* q;
  std::int64_t q_stride;
  const T* k_pages;
  const T* v_pages;
  std::int64_t page_stride;
  std::int64_t pages;
  const int* query_begin;
  const int* context_length;
  const int* block_table;
  std::int64_t table_stride;
  const int* kv_of_q;
  T* y;
  std::int64_t y_stride;
  int tokens;
  int sequences;
  int q_heads;
  int head_dim;
  int page_shift;
  float scale;
  float scale_log2;  // of what the softmax is taken of: scale * log2(e), log2(e) with extras
  // Looked at by kernels that are compiled with kExtras alone.
  int window;           // 0: none
  float softcap;        // 0: none
  const float* slopes;  // [q_heads], or null

  // The first position that a token at `position` attends to.
  __device__ int first_of(int position) const {
    return window > 0 ? max(position + 1 - window, 0) : 0;
  }
  __device__ float slope(int head) const { return slopes != nullptr ? slopes[head] : 0.0f; }
};

// The tokens of one sequence. Uploaded for each step: read after wait_for_predecessor().
struct SequenceTokens {
  int first;
  int count;
  int context;
};

template <typename T>
__device__ inline SequenceTokens tokens_of(const PagedAttention<T>& p, int sequence) {
  const int first = __ldcg(p.query_begin + sequence);
  return {first, __ldcg(p.query_begin + sequence + 1) - first, __ldcg(p.context_length + sequence)};
}

// Lists the query heads that a KV head serves and returns their number. The whole block calls it.
template <typename T>
__device__ inline int list_heads(const PagedAttention<T>& p, int kv_head, std::int16_t* heads) {
  const int lane = threadIdx.x % 32;
  int count = 0;
  for (int base = 0; base < p.q_heads; base += 32) {
    const int head = base + lane;
    const bool mine = head < p.q_heads && p.kv_of_q[head] == kv_head;
    const unsigned votes = __ballot_sync(kAllLanes, mine);
    if (mine && threadIdx.x < 32) {
      heads[count + __popc(votes & ((1u << lane) - 1))] = static_cast<std::int16_t>(head);
    }
    count += __popc(votes);
  }
  __syncthreads();
  return count;
}

// Where a position's key and value begin, from the pages' start; -1 at `end` and behind it.
template <typename T>
__device__ inline std::int64_t row_offset(const PagedAttention<T>& p, int sequence, int kv_head,
                                          int position, int end) {
  if (position >= end) {
    return -1;
  }
  const int page = __ldcg(p.block_table + sequence * p.table_stride + (position >> p.page_shift));
  const int row = (kv_head << p.page_shift) + (position & ((1 << p.page_shift) - 1));
  return page * p.page_stride + static_cast<std::int64_t>(row) * p.head_dim;
}

// Zeros for tokens [begin, end) and the listed heads. The whole block calls it.
template <typename T>
__device__ inline void zero_tokens(const PagedAttention<T>& p, int begin, int end,
                                   const std::int16_t* heads, int count) {
  const int width = count * p.head_dim;
  for (int token = begin; token < end; ++token) {
    for (int i = threadIdx.x; i < width; i += blockDim.x) {
      p.y[token * p.y_stride + heads[i / p.head_dim] * p.head_dim + i % p.head_dim] =
          narrow<T>(0.0f);
    }
  }
}

// The online softmax (Milakov & Gimelshein 2018) of one row of accumulators: rows r and r + 8 of a
// 16-row tile are one of these each.
struct SoftmaxRow {
  float largest = -INFINITY;  // score, before it is scaled
  float total = 0;            // of this lane's columns
};

// Scores become weights 2^(scale (score - largest)), rounded nowhere; returns what sums of earlier
// rounds are to be multiplied by. `half` 0 is row r, 1 is row r + 8.
template <int kColumns>
__device__ inline float soften(float (&scores)[kColumns][4], int half, float scale_log2,
                               SoftmaxRow& row) {
  float largest = row.largest;
#pragma unroll
  for (int n = 0; n < kColumns; ++n) {
    largest = fmaxf(largest, fmaxf(scores[n][2 * half], scores[n][2 * half + 1]));
  }
  largest = largest_of_row(largest);
  const float base = largest == -INFINITY ? 0.0f : largest * scale_log2;
  float total = 0;
#pragma unroll
  for (int n = 0; n < kColumns; ++n) {
#pragma unroll
    for (int i = 2 * half; i < 2 * half + 2; ++i) {
      scores[n][i] = exp2_fast(fmaf(scores[n][i], scale_log2, -base));
      total += scores[n][i];
    }
  }
  const float correction = exp2_fast(fmaf(row.largest, scale_log2, -base));
  row.total = fmaf(row.total, correction, total);
  row.largest = largest;
  return correction;
}

// Scores of raw products become what the softmax is taken of: scaled, capped, moved by the distance
// times the slope. `distance`: of column 0 from the rows' own positions, for rows r and r + 8. The
// tanh is within 2^-22, absolutely.
template <typename T, int kColumns>
__device__ inline void adjust(const PagedAttention<T>& p, float (&scores)[kColumns][4],
                              const float (&slopes)[2], const int (&distance)[2], int lane) {
#pragma unroll
  for (int n = 0; n < kColumns; ++n) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      float score = scores[n][i] * p.scale;
      if (p.softcap > 0) {
        const float e = exp2_fast(score * (2.88539008f / p.softcap));
        score = p.softcap * (1.0f - __fdividef(2.0f, e + 1.0f));
      }
      const int column = 8 * n + lane % 4 * 2 + i % 2;
      scores[n][i] = fmaf(slopes[i / 2], static_cast<float>(distance[i / 2] + column), score);
    }
  }
}

// Weights of 16 positions as the left operand of a product.
template <typename T>
__device__ inline void pack_weights(std::uint32_t (&a)[4], const float (&low)[4],
                                    const float (&high)[4]) {
  a[0] = pack<T>(low[0], low[1]);
  a[1] = pack<T>(low[2], low[3]);
  a[2] = pack<T>(high[0], high[1]);
  a[3] = pack<T>(high[2], high[3]);
}

// Addresses for load_matrices of a tile whose rows lie `stride` elements apart.
// Rows 0..15, columns 0..15 as the left operand; transposed, as the right operand with rows as k.
__device__ inline int left_operand(int lane, int stride) {
  return lane % 16 * stride + lane / 16 * 8;
}
// 16 rows as columns n, columns 0..15 as k of the right operand: m[0..1] rows 0..7, m[2..3] 8..15.
__device__ inline int right_operand(int lane, int stride) {
  return (lane / 16 * 8 + lane % 8) * stride + lane / 8 % 2 * 8;
}

}  // namespace tutti
