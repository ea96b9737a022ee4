// Attention of one token a sequence: bound by reading keys and values, so all query heads of a KV
// head share one reading of them, and a context is split over enough blocks to fill the GPU.
#pragma once

#include "kernels/attention_join.cuh"
#include "kernels/cuda_launch.cuh"

namespace tutti {

// A group of copies: 16 rows of keys or values, or nothing where the warp has no `more`. Lane
// i % 16 holds the offset of row i.
template <typename T, int kDim>
__device__ inline void copy_decode_rows(const PagedAttention<T>& p, T* tile, const T* pages,
                                        bool more, std::int64_t offset, int lane) {
  constexpr int kChunks = kDim / 8;
  if (more) {
#pragma unroll
    for (int i = lane; i < kDecodeKeys * kChunks; i += 32) {
      const int row = i / kChunks;
      const int column = i % kChunks * 8;
      const std::int64_t from = __shfl_sync(kAllLanes, offset, row);
      const bool wanted = from >= 0 && column < p.head_dim;
      copy_async(tile + row * (kDim + 8) + column, wanted ? pages + from + column : pages, wanted);
    }
  }
  commit_copies();
}

// The queries of a pass, zeros for the rows that are left. The whole block calls it.
template <typename T, int kDim>
__device__ inline void copy_decode_queries(const PagedAttention<T>& p, const DecodeWork& work,
                                           T* query) {
  constexpr int kChunks = kDim / 8;
  for (int i = threadIdx.x; i < kDecodeRows * kChunks; i += blockDim.x) {
    const int row = i / kChunks;
    const int column = i % kChunks * 8;
    uint4 value = {0, 0, 0, 0};
    if (row < work.head_count && column < p.head_dim) {
      value = *reinterpret_cast<const uint4*>(p.q + work.token * p.q_stride +
                                              work.heads[row] * p.head_dim + column);
    }
    *reinterpret_cast<uint4*>(query + row * (kDim + 8) + column) = value;
  }
}

// The scores of 16 query rows with 16 keys: columns 0..7 and 8..15.
template <typename T, int kDim>
__device__ inline void decode_scores(float (&scores)[2][4], const T* query, const T* keys,
                                     int lane) {
  constexpr int kStride = kDim + 8;
  float odd[2][4] = {};  // two chains: a product waits for the one before
#pragma unroll
  for (int k = 0; k < kDim / 16; ++k) {
    std::uint32_t a[4];
    std::uint32_t b[4];
    load_matrices(a, query + left_operand(lane, kStride) + 16 * k);
    load_matrices(b, keys + right_operand(lane, kStride) + 16 * k);
    multiply_add<T>(k % 2 == 0 ? scores[0] : odd[0], a, b[0], b[1]);
    multiply_add<T>(k % 2 == 0 ? scores[1] : odd[1], a, b[2], b[3]);
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    scores[0][i] += odd[0][i];
    scores[1][i] += odd[1][i];
  }
}

// No score for the keys from `count` on.
__device__ inline void mask_behind(float (&scores)[2][4], int count, int lane) {
  if (count >= kDecodeKeys) {
    return;
  }
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    if (i / 4 * 8 + lane % 4 * 2 + i % 2 >= count) {
      scores[i / 4][i % 4] = -INFINITY;
    }
  }
}

// No score for the keys before `count`.
__device__ inline void mask_before(float (&scores)[2][4], int count, int lane) {
  if (count <= 0) {
    return;
  }
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    if (i / 4 * 8 + lane % 4 * 2 + i % 2 < count) {
      scores[i / 4][i % 4] = -INFINITY;
    }
  }
}

template <int kDim>
__device__ inline void rescale(float (&sums)[kDim / 8][4], const float (&corrections)[2]) {
#pragma unroll
  for (int n = 0; n < kDim / 8; ++n) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      sums[n][i] *= corrections[i / 2];
    }
  }
}

// sums += weights x values of 16 positions
template <typename T, int kDim>
__device__ inline void add_values(float (&sums)[kDim / 8][4], const std::uint32_t (&weights)[4],
                                  const T* values, int lane) {
#pragma unroll
  for (int n = 0; n < kDim / 16; ++n) {
    std::uint32_t b[4];
    load_matrices_transposed(b, values + left_operand(lane, kDim + 8) + 16 * n);
    multiply_add<T>(sums[2 * n], weights, b[0], b[1]);
    multiply_add<T>(sums[2 * n + 1], weights, b[2], b[3]);
  }
}

// A warp's share of the positions: rounds of 16, those of the warps in turn. Leaves sums of
// weighted values and the softmax of its rows.
template <typename T, int kDim, int kWarps, bool kExtras>
__device__ inline void decode_rounds(const PagedAttention<T>& p, const DecodeWork& work,
                                     std::byte* shared, float (&sums)[kDim / 8][4],
                                     SoftmaxRow (&rows)[2]) {
  using Layout = DecodeLayout<T, kDim, kWarps>;
  constexpr int kSpan = kWarps * kDecodeKeys;  // positions of one round of a block

  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  T* const tiles = reinterpret_cast<T*>(shared) + warp * 2 * kDecodeStages * Layout::kTile;
  T* const query = reinterpret_cast<T*>(shared + Layout::kTileBytes);
  const int first = work.span.begin + warp * kDecodeKeys;
  const int least = kExtras ? p.first_of(work.position) : 0;
  const auto offset_at = [&](int position) {
    if (kExtras && position + lane % 16 < least) {
      return std::int64_t{-1};
    }
    return row_offset(p, work.sequence, work.kv_head, position + lane % 16, work.span.end);
  };
  float slopes[2] = {};
  if constexpr (kExtras) {
    slopes[0] = lane / 4 < work.head_count ? p.slope(work.heads[lane / 4]) : 0.0f;
    slopes[1] = lane / 4 + 8 < work.head_count ? p.slope(work.heads[lane / 4 + 8]) : 0.0f;
  }
#pragma unroll
  for (int stage = 0; stage < kDecodeStages; ++stage) {
    const int position = first + stage * kSpan;
    T* const keys = tiles + 2 * stage * Layout::kTile;
    const std::int64_t offset = offset_at(position);
    copy_decode_rows<T, kDim>(p, keys, p.k_pages, position < work.span.end, offset, lane);
    copy_decode_rows<T, kDim>(p, keys + Layout::kTile, p.v_pages, position < work.span.end, offset,
                              lane);
  }
  copy_decode_queries<T, kDim>(p, work, query);
  __syncthreads();
  int stage = 0;
#pragma unroll 1
  for (int position = first; position < work.span.end; position += kSpan) {
    T* const keys = tiles + 2 * stage * Layout::kTile;
    T* const values = keys + Layout::kTile;
    const int next = position + kDecodeStages * kSpan;
    const std::int64_t offset = offset_at(next);
    wait_copies<2 * kDecodeStages - 1>();  // the keys are there
    __syncwarp();
    float scores[2][4] = {};
    decode_scores<T, kDim>(scores, query, keys, lane);
    if constexpr (kExtras) {
      const int distance = position - work.position;
      adjust(p, scores, slopes, {distance, distance}, lane);
      mask_before(scores, least - position, lane);
    }
    mask_behind(scores, work.span.end - position, lane);
    __syncwarp();
    copy_decode_rows<T, kDim>(p, keys, p.k_pages, next < work.span.end, offset, lane);
    const float corrections[2] = {soften(scores, 0, p.scale_log2, rows[0]),
                                  soften(scores, 1, p.scale_log2, rows[1])};
    rescale<kDim>(sums, corrections);
    std::uint32_t a[4];
    pack_weights<T>(a, scores[0], scores[1]);
    wait_copies<2 * kDecodeStages - 1>();  // the values are there
    __syncwarp();
    add_values<T, kDim>(sums, a, values, lane);
    __syncwarp();
    copy_decode_rows<T, kDim>(p, values, p.v_pages, next < work.span.end, offset, lane);
    stage = (stage + 1) % kDecodeStages;
  }
  wait_copies<0>();
}

// Most keys and values were written by earlier steps, and where they lie has been known since this
// step's upload: ask for the first rounds while the kernel before still runs. What is read here
// may be out of date; it decides about nothing but hints.
template <typename T, int kWarps, bool kExtras>
__device__ inline void prefetch_first_rounds(const PagedAttention<T>& p, int splits) {
#if __CUDA_ARCH__ >= 900
  const int lane = threadIdx.x % 32;
  const int sequence = blockIdx.z;
  const int context = read_hint(p.context_length + sequence);
  const std::int64_t known = p.table_stride << p.page_shift;
  const bool one_page = (1 << p.page_shift) >= kDecodeKeys;  // holds the keys of a round
  if (lane > 1 || !one_page || context <= 0 || context > known) {
    return;
  }
  const DecodeSpan span = decode_span_of<kExtras>(p, context, splits, kWarps * kDecodeKeys);
#pragma unroll
  for (int stage = 0; stage < kDecodeStages; ++stage) {
    const int position = span.begin + (stage * kWarps + threadIdx.x / 32) * kDecodeKeys;
    if (position < span.end) {
      const int page =
          read_hint(p.block_table + sequence * p.table_stride + (position >> p.page_shift));
      if (page >= 0 && page < p.pages) {
        const std::int64_t row =
            (blockIdx.y << p.page_shift) + (position & ((1 << p.page_shift) - 1));
        prefetch_to_l2(
            (lane == 0 ? p.k_pages : p.v_pages) + page * p.page_stride + row * p.head_dim,
            min(kDecodeKeys, span.end - position) * p.head_dim * sizeof(T));
      }
    }
  }
#endif
}

// Block (split, KV head, sequence); kExtras: with a window, soft cap or slopes. Sequences with
// other than one token are passed over.
template <typename T, int kDim, int kWarps, bool kExtras>
__global__ void __launch_bounds__(kWarps * 32, kDim <= 128 ? 3 : 1)
    attend_decode(PagedAttention<T> p, DecodeSplits splits) {
  __shared__ std::int16_t heads[kAttentionMaxHeads];
  release_dependents();
  prefetch_first_rounds<T, kWarps, kExtras>(p, splits.splits);
  const int head_count = list_heads(p, blockIdx.y, heads);
  wait_for_predecessor();
  const SequenceTokens tokens = tokens_of(p, blockIdx.z);
  if (blockIdx.x == 0 && blockIdx.z == gridDim.z - 1) {
    zero_tokens(p, tokens.first + tokens.count, p.tokens, heads, head_count);
  }
  if (tokens.count != 1 || head_count == 0) {
    return;
  }
  if (tokens.context <= 0) {
    if (blockIdx.x == 0) {
      zero_tokens(p, tokens.first, tokens.first + 1, heads, head_count);
    }
    return;
  }
  DecodeWork work = {
      static_cast<int>(blockIdx.z),
      static_cast<int>(blockIdx.y),
      tokens.first,
      decode_span_of<kExtras>(p, tokens.context, splits.splits, kWarps * kDecodeKeys),
      heads,
      0,
      tokens.context - 1};
  if (work.span.begin >= work.span.end) {
    return;
  }
  std::byte* const shared = shared_memory();
  for (int first = 0; first < head_count; first += kDecodeRows) {
    work.heads = heads + first;
    work.head_count = min(kDecodeRows, head_count - first);
    float sums[kDim / 8][4] = {};
    SoftmaxRow rows[2];
    decode_rounds<T, kDim, kWarps, kExtras>(p, work, shared, sums, rows);
    join_warps<T, kDim, kWarps>(p, work, splits, shared, sums, rows);
    __syncthreads();
  }
  work.heads = heads;
  if (work.span.splits > 1 &&
      last_to_arrive(splits.counters + blockIdx.z * gridDim.y + blockIdx.y, work.span.splits)) {
    join_splits(p, work, splits, head_count);
  }
}

}  // namespace tutti
