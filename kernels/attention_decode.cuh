// Attention of one token a sequence: bound by reading keys and values, so all query heads of a KV
// head share one reading of them, and a context is split over enough blocks to fill the GPU.
#pragma once

#include "kernels/attention_rows.cuh"
#include "kernels/cuda_launch.cuh"

namespace tutti {

// Warps of a block: many where there are few blocks, few where there are many, which then fit
// beside those of the products around them.
inline constexpr int kDecodeMostWarps = 4;
inline constexpr int kDecodeFewWarps = 2;
inline constexpr int kDecodeKeys = 16;   // positions of one round of a warp
inline constexpr int kDecodeStages = 2;  // rounds in flight
inline constexpr int kDecodeRows = 16;   // query heads of one pass
inline constexpr int kDecodeMaxSplits = 64;

// Blocks of one call: KV heads x sequences, each `splits` times.
struct DecodeSplits {
  int splits = 1;
  float* sums = nullptr;      // [sequences, q_heads, splits, head_dim]
  float2* weights = nullptr;  // [sequences, q_heads, splits]: largest scaled score, total
  int* counters = nullptr;    // [sequences, kv_heads]
};

// Positions of one block.
struct DecodeSpan {
  int begin;
  int end;
  int splits;  // that have any
};

__host__ __device__ inline DecodeSpan decode_span(int context, int splits, int split, int least) {
  const int even = (context + splits - 1) / splits;
  const int rounded = (even + kDecodeKeys - 1) / kDecodeKeys * kDecodeKeys;
  const int size = rounded < least ? least : rounded;
  const int used = (context + size - 1) / size;
  const int begin = split < used ? split * size : context;
  return {begin, context - begin < size ? context : begin + size, used};
}

// The same within the window of the token: a window's round begins at a multiple of a round's
// positions, so that rounds do not cross more pages than without.
template <bool kExtras, typename T>
__device__ inline DecodeSpan decode_span_of(const PagedAttention<T>& p, int context, int splits,
                                            int least) {
  if constexpr (kExtras) {
    const int base = p.first_of(context - 1) / kDecodeKeys * kDecodeKeys;
    const DecodeSpan span = decode_span(context - base, splits, blockIdx.x, least);
    return {base + span.begin, base + span.end, span.splits};
  } else {
    return decode_span(context, splits, blockIdx.x, least);
  }
}

// The fewest splits that leave few multiprocessors idle in the last wave of blocks.
inline int decode_splits(std::int64_t units, std::int64_t slots, std::int64_t most_context) {
  constexpr int kLeast = kDecodeMostWarps * kDecodeKeys;  // positions of a split
  const std::int64_t most = (most_context + kLeast - 1) / kLeast;
  int best = 1;
  double best_share = 0;
  for (int splits = 1; splits <= most && splits <= kDecodeMaxSplits; ++splits) {
    const std::int64_t blocks = units * splits;
    const std::int64_t waves = (blocks + slots - 1) / slots;
    const double share = static_cast<double>(blocks) / static_cast<double>(waves * slots);
    if (share > best_share) {
      best = splits;
      best_share = share;
    }
    if (share >= 0.9) {
      break;
    }
  }
  return best;
}

template <typename T, int kDim, int kWarps>
struct DecodeLayout {
  static constexpr int kStride = kDim + 8;  // rows of a tile begin in different banks
  static constexpr int kTile = kDecodeKeys * kStride;
  static constexpr int kTiles = kWarps * kDecodeStages * 2;
  static constexpr int kSumStride = kDim + 8;
  static constexpr std::size_t kTileBytes = sizeof(T) * kTiles * kTile;
  static constexpr std::size_t kQueryBytes = sizeof(T) * kDecodeRows * kStride;
  static constexpr std::size_t kBytes =
      kTileBytes + kQueryBytes + sizeof(float2) * kWarps * kDecodeRows;
  // Where the warps' sums meet, once keys and values are done with.
  static_assert(sizeof(float) * kWarps * kDecodeRows * kSumStride <= kTileBytes);
};

// What a block's threads agree on.
struct DecodeWork {
  int sequence;
  int kv_head;
  int token;
  DecodeSpan span;
  const std::int16_t* heads;  // of this pass
  int head_count;             // at most kDecodeRows
  int position;               // of the token
};

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
  for (int i = threadIdx.x; i < work.head_count * p.head_dim; i += blockDim.x) {
    const int row = i / p.head_dim;
    const int column = i % p.head_dim;
    float sum = 0;
#pragma unroll
    for (int w = 0; w < kWarps; ++w) {
      sum += joined[(w * kDecodeRows + row) * Layout::kSumStride + column];
    }
    const float2 total = total_of_warps<kWarps>(warps, row);
    const int head = work.heads[row];
    if (work.span.splits == 1) {
      p.y[work.token * p.y_stride + head * p.head_dim + column] = narrow<T>(sum / total.y);
    } else {
      const std::int64_t part =
          (static_cast<std::int64_t>(work.sequence) * p.q_heads + head) * splits.splits +
          blockIdx.x;
      splits.sums[part * p.head_dim + column] = sum;
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

// y of one KV head's query heads from the sums of all splits, in their order.
template <typename T>
__device__ inline void join_splits(const PagedAttention<T>& p, const DecodeWork& work,
                                   const DecodeSplits& splits, int head_count) {
  constexpr int kAtOnce = 8;
  for (int i = threadIdx.x; i < head_count * p.head_dim; i += blockDim.x) {
    const int head = work.heads[i / p.head_dim];
    const int column = i % p.head_dim;
    const std::int64_t part =
        (static_cast<std::int64_t>(work.sequence) * p.q_heads + head) * splits.splits;
    const float2* const weights = splits.weights + part;
    const float* const sums = splits.sums + part * p.head_dim + column;
    float largest = -INFINITY;
    float total = 0;
    float sum = 0;
    for (int begin = 0; begin < work.span.splits; begin += kAtOnce) {
      float2 weight[kAtOnce];
      float value[kAtOnce];
#pragma unroll
      for (int j = 0; j < kAtOnce; ++j) {
        const bool there = begin + j < work.span.splits;
        weight[j] = there ? __ldcg(weights + begin + j) : float2{-INFINITY, 0.0f};
        value[j] = there ? __ldcg(sums + static_cast<std::int64_t>(begin + j) * p.head_dim) : 0.0f;
      }
      float top = largest;
#pragma unroll
      for (int j = 0; j < kAtOnce; ++j) {
        top = fmaxf(top, weight[j].x);
      }
      const float correction = exp2_fast(largest - top);
      largest = top;
      total *= correction;
      sum *= correction;
#pragma unroll
      for (int j = 0; j < kAtOnce; ++j) {
        const float factor = exp2_fast(weight[j].x - top);
        total = fmaf(weight[j].y, factor, total);
        sum = fmaf(value[j], factor, sum);
      }
    }
    p.y[work.token * p.y_stride + head * p.head_dim + column] = narrow<T>(sum / total);
  }
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
        prefetch((lane == 0 ? p.k_pages : p.v_pages) + page * p.page_stride + row * p.head_dim,
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
