// Attention of many tokens a sequence on tensor cores, in the manner of FlashAttention-2 (Dao
// 2023): a block keeps its queries and walks over tiles of keys and values.
#pragma once

#include "kernels/attention_rows.cuh"
#include "kernels/cuda_launch.cuh"

namespace tutti {

template <typename T, int kDim>
struct PrefillLayout {
  static constexpr int kWarps = 4;
  static constexpr int kRowTiles = kDim <= 128 ? 2 : 1;  // of 16 rows, for each warp
  static constexpr int kRows = kWarps * kRowTiles * 16;
  static constexpr int kKeys = kDim <= 128 ? 64 : 32;
  static constexpr int kStride = kDim + 8;  // rows of a tile begin in different banks
  static constexpr int kQuery = kRows * kStride;
  static constexpr int kTile = kKeys * kStride;
  static constexpr std::size_t kBytes =
      sizeof(T) * (kQuery + 4 * kTile) + sizeof(std::int64_t) * 2 * kKeys;
};

// A block's rows: (token, head) pairs of one sequence and KV head, heads running fastest.
struct PrefillWork {
  int sequence;
  int kv_head;
  SequenceTokens tokens;
  const std::int16_t* heads;
  int head_count;
  int rows;   // of the sequence
  int first;  // row of this block

  // Positions that a row attends to: [0, limit).
  __device__ int limit(int row) const {
    return tokens.context - tokens.count + row / head_count + 1;
  }
  __device__ int last() const { return rows - 1; }
};

template <typename T, int kDim>
struct PrefillTiles {
  using Layout = PrefillLayout<T, kDim>;
  T* query;
  T* tiles;               // keys and values of two rounds
  std::int64_t* offsets;  // of the rows of two rounds

  __device__ explicit PrefillTiles(std::byte* shared)
      : query(reinterpret_cast<T*>(shared)),
        tiles(query + Layout::kQuery),
        offsets(reinterpret_cast<std::int64_t*>(tiles + 4 * Layout::kTile)) {}
  __device__ T* keys(int round) const { return tiles + round % 2 * 2 * Layout::kTile; }
  __device__ T* values(int round) const { return keys(round) + Layout::kTile; }
  __device__ std::int64_t* offsets_of(int round) const {
    return offsets + round % 2 * Layout::kKeys;
  }
};

template <typename T, int kDim>
__device__ inline void copy_queries(const PagedAttention<T>& p, const PrefillWork& work, T* query) {
  using Layout = PrefillLayout<T, kDim>;
  constexpr int kChunks = kDim / 8;
  for (int i = threadIdx.x; i < Layout::kRows * kChunks; i += blockDim.x) {
    const int row = work.first + i / kChunks;
    const int column = i % kChunks * 8;
    const bool wanted = row < work.rows && column < p.head_dim;
    const T* from = p.q;
    if (wanted) {
      from += (work.tokens.first + row / work.head_count) * p.q_stride +
              work.heads[row % work.head_count] * p.head_dim + column;
    }
    copy_async(query + i / kChunks * Layout::kStride + column, from, wanted);
  }
}

// Keys and values of one round, whose rows' offsets are known.
template <typename T, int kDim>
__device__ inline void copy_round(const PagedAttention<T>& p, const PrefillTiles<T, kDim>& tiles,
                                  int round) {
  using Layout = PrefillLayout<T, kDim>;
  constexpr int kChunks = kDim / 8;
  static_assert(Layout::kKeys * kChunks % (Layout::kWarps * 32) == 0);
  T* const keys = tiles.keys(round);
  T* const values = tiles.values(round);
  const std::int64_t* const offsets = tiles.offsets_of(round);
  constexpr unsigned kThreads = Layout::kWarps * 32;
#pragma unroll
  for (unsigned j = 0; j < Layout::kKeys * kChunks / kThreads; ++j) {
    // Where rows divide among the threads, a thread's column stays, and its rows are kSkip apart.
    constexpr unsigned kSkip = kThreads % kChunks == 0 ? kThreads / kChunks : 0;
    const unsigned i = threadIdx.x + (kSkip > 0 ? 0 : j * kThreads);
    const unsigned row = i / kChunks + j * kSkip;
    const unsigned column = i % kChunks * 8;
    const std::int64_t offset = offsets[row];
    const bool wanted = offset >= 0 && column < static_cast<unsigned>(p.head_dim);
    const std::int64_t from = wanted ? offset + column : 0;
    const unsigned to = row * Layout::kStride + column;
    copy_async(keys + to, p.k_pages + from, wanted);
    copy_async(values + to, p.v_pages + from, wanted);
  }
}

// Scores of a warp's rows with the keys of a tile.
template <typename T, int kDim, int kRowTiles, int kColumns>
__device__ inline void prefill_scores(float (&scores)[kRowTiles][kColumns][4], const T* query,
                                      const T* keys, int lane) {
  constexpr int kStride = kDim + 8;
  const T* const query_row = query + left_operand(lane, kStride);
  const T* const key_row = keys + right_operand(lane, kStride);
#pragma unroll
  for (int k = 0; k < kDim / 16; ++k) {
    std::uint32_t a[kRowTiles][4];
#pragma unroll
    for (int m = 0; m < kRowTiles; ++m) {
      load_matrices(a[m], query_row + 16 * m * kStride + 16 * k);
    }
#pragma unroll
    for (int n = 0; n < kColumns; n += 2) {
      std::uint32_t b[4];
      load_matrices(b, key_row + 8 * n * kStride + 16 * k);
#pragma unroll
      for (int m = 0; m < kRowTiles; ++m) {
        multiply_add<T>(scores[m][n], a[m], b[0], b[1]);
        multiply_add<T>(scores[m][n + 1], a[m], b[2], b[3]);
      }
    }
  }
}

// sums += weights x values
template <typename T, int kDim, int kRowTiles, int kColumns>
__device__ inline void prefill_add_values(float (&sums)[kRowTiles][kDim / 8][4],
                                          const float (&weights)[kRowTiles][kColumns][4],
                                          const T* values, int lane) {
  constexpr int kStride = kDim + 8;
  const T* const value_row = values + left_operand(lane, kStride);
#pragma unroll
  for (int k = 0; k < kColumns; k += 2) {
    std::uint32_t a[kRowTiles][4];
#pragma unroll
    for (int m = 0; m < kRowTiles; ++m) {
      pack_weights<T>(a[m], weights[m][k], weights[m][k + 1]);
    }
#pragma unroll
    for (int n = 0; n < kDim / 8; n += 2) {
      std::uint32_t b[4];
      load_matrices_transposed(b, value_row + 8 * k * kStride + 8 * n);
#pragma unroll
      for (int m = 0; m < kRowTiles; ++m) {
        multiply_add<T>(sums[m][n], a[m], b[0], b[1]);
        multiply_add<T>(sums[m][n + 1], a[m], b[2], b[3]);
      }
    }
  }
}

// A warp's rows while the block walks over the keys.
template <typename T, int kDim, bool kExtras>
struct PrefillWarp {
  using Layout = PrefillLayout<T, kDim>;
  static constexpr int kRowTiles = Layout::kRowTiles;
  static constexpr int kColumns = Layout::kKeys / 8;

  float sums[kRowTiles][kDim / 8][4] = {};
  SoftmaxRow rows[kRowTiles][2];
  int row;       // first of the warp, within the block
  int shortest;  // of the limits of all its rows
  int longest;

  __device__ explicit PrefillWarp(const PrefillWork& work) {
    row = threadIdx.x / 32 * kRowTiles * 16;
    const int last = work.last();
    shortest = work.limit(min(work.first + row, last));
    longest = work.limit(min(work.first + row + 16 * kRowTiles - 1, last));
  }

  __device__ void attend(const PagedAttention<T>& p, const PrefillWork& work,
                         const PrefillTiles<T, kDim>& tiles, int round) {
    const int lane = threadIdx.x % 32;
    const int begin = round * Layout::kKeys;
    if (begin >= longest) {
      return;
    }
    float scores[kRowTiles][kColumns][4] = {};
    prefill_scores<T, kDim>(scores, tiles.query + row * Layout::kStride, tiles.keys(round), lane);
    if constexpr (kExtras) {
      adjust_and_mask(p, scores, work, begin, lane);
    } else if (begin + Layout::kKeys > shortest) {
      mask(scores, work, begin, lane);
    }
#pragma unroll
    for (int m = 0; m < kRowTiles; ++m) {
      const float corrections[2] = {soften(scores[m], 0, p.scale_log2, rows[m][0]),
                                    soften(scores[m], 1, p.scale_log2, rows[m][1])};
      // Largest scores settle after a few rounds.
      if (__any_sync(kAllLanes, corrections[0] != 1.0f || corrections[1] != 1.0f)) {
#pragma unroll
        for (int n = 0; n < kDim / 8; ++n) {
#pragma unroll
          for (int i = 0; i < 4; ++i) {
            sums[m][n][i] *= corrections[i / 2];
          }
        }
      }
    }
    prefill_add_values<T, kDim>(sums, scores, tiles.values(round), lane);
  }

  __device__ void mask(float (&scores)[kRowTiles][kColumns][4], const PrefillWork& work, int begin,
                       int lane) const {
#pragma unroll
    for (int m = 0; m < kRowTiles; ++m) {
      const int at = work.first + row + 16 * m + lane / 4;
      const int limits[2] = {work.limit(min(at, work.last())),
                             work.limit(min(at + 8, work.last()))};
#pragma unroll
      for (int n = 0; n < kColumns; ++n) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          if (begin + 8 * n + lane % 4 * 2 + i % 2 >= limits[i / 2]) {
            scores[m][n][i] = -INFINITY;
          }
        }
      }
    }
  }

  __device__ void adjust_and_mask(const PagedAttention<T>& p,
                                  float (&scores)[kRowTiles][kColumns][4], const PrefillWork& work,
                                  int begin, int lane) const {
#pragma unroll
    for (int m = 0; m < kRowTiles; ++m) {
      const int first = min(work.first + row + 16 * m + lane / 4, work.last());
      const int second = min(work.first + row + 16 * m + lane / 4 + 8, work.last());
      const int limits[2] = {work.limit(first), work.limit(second)};
      const float slopes[2] = {p.slope(work.heads[first % work.head_count]),
                               p.slope(work.heads[second % work.head_count])};
      adjust(p, scores[m], slopes, {begin + 1 - limits[0], begin + 1 - limits[1]}, lane);
      const int firsts[2] = {p.first_of(limits[0] - 1), p.first_of(limits[1] - 1)};
      if (begin + Layout::kKeys > shortest || begin < firsts[0] || begin < firsts[1]) {
#pragma unroll
        for (int n = 0; n < kColumns; ++n) {
#pragma unroll
          for (int i = 0; i < 4; ++i) {
            const int position = begin + 8 * n + lane % 4 * 2 + i % 2;
            if (position >= limits[i / 2] || position < firsts[i / 2]) {
              scores[m][n][i] = -INFINITY;
            }
          }
        }
      }
    }
  }

  __device__ void store(const PagedAttention<T>& p, const PrefillWork& work) const {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < 2 * kRowTiles; ++i) {
      const float total = sum_of_row(rows[i / 2][i % 2].total);
      const float inverse = total > 0 ? 1.0f / total : 0.0f;
      const int at = work.first + row + 8 * i + lane / 4;
      if (at < work.rows) {
        T* const y = p.y + (work.tokens.first + at / work.head_count) * p.y_stride +
                     work.heads[at % work.head_count] * p.head_dim + lane % 4 * 2;
#pragma unroll
        for (int n = 0; n < kDim / 8; ++n) {
          if (8 * n < p.head_dim) {
            const float(&sum)[4] = sums[i / 2][n];
            *reinterpret_cast<std::uint32_t*>(y + 8 * n) =
                pack<T>(sum[i % 2 * 2] * inverse, sum[i % 2 * 2 + 1] * inverse);
          }
        }
      }
    }
  }
};

template <typename T, int kDim, bool kExtras>
__device__ inline void prefill_block(const PagedAttention<T>& p, const PrefillWork& work) {
  using Layout = PrefillLayout<T, kDim>;
  const PrefillTiles<T, kDim> tiles(shared_memory());
  const int longest = work.limit(min(work.first + Layout::kRows - 1, work.last()));
  const int rounds = (max(longest, 0) + Layout::kKeys - 1) / Layout::kKeys;
  const int least = kExtras ? p.first_of(work.limit(work.first) - 1) : 0;  // of all rows
  const int start = least / Layout::kKeys;
  const int thread = threadIdx.x;
  const auto offset_at = [&](int round) {
    if (kExtras && round * Layout::kKeys + thread < least) {
      return std::int64_t{-1};
    }
    return row_offset(p, work.sequence, work.kv_head, round * Layout::kKeys + thread,
                      work.tokens.context);
  };
  if (thread < Layout::kKeys) {
    tiles.offsets_of(start)[thread] = offset_at(start);
    tiles.offsets_of(start + 1)[thread] = offset_at(start + 1);
  }
  copy_queries<T, kDim>(p, work, tiles.query);
  __syncthreads();
  copy_round(p, tiles, start);
  commit_copies();
  PrefillWarp<T, kDim, kExtras> warp(work);
#pragma unroll 1
  for (int round = start; round < rounds; ++round) {
    wait_copies<0>();
    __syncthreads();  // this round is there, and nobody works on the one before any more
    if (round + 1 < rounds) {
      copy_round(p, tiles, round + 1);
    }
    commit_copies();
    const std::int64_t next = thread < Layout::kKeys ? offset_at(round + 2) : 0;
    warp.attend(p, work, tiles, round);
    if (thread < Layout::kKeys) {
      tiles.offsets_of(round)[thread] = next;
    }
  }
  wait_copies<0>();
  warp.store(p, work);
  __syncthreads();  // before another round of this block
}

// Block (KV head, tile of rows, sequence), the tiles with the longest contexts first; strides over
// the tiles, since a KV head may serve more than its share of query heads. Sequences of fewer than
// `least_tokens` are passed over. kExtras: with a window, soft cap or slopes.
template <typename T, int kDim, bool kExtras>
__global__ void __launch_bounds__(128, 2) attend_prefill(PagedAttention<T> p, int least_tokens) {
  using Layout = PrefillLayout<T, kDim>;
  __shared__ std::int16_t heads[kAttentionMaxHeads];
  release_dependents();
  const int head_count = list_heads(p, blockIdx.x, heads);
  wait_for_predecessor();
  const SequenceTokens tokens = tokens_of(p, blockIdx.z);
  if (blockIdx.y == 0 && blockIdx.z == gridDim.z - 1) {
    zero_tokens(p, tokens.first + tokens.count, p.tokens, heads, head_count);
  }
  if (tokens.count < least_tokens || head_count == 0) {
    return;
  }
  PrefillWork work = {static_cast<int>(blockIdx.z),
                      static_cast<int>(blockIdx.x),
                      tokens,
                      heads,
                      head_count,
                      tokens.count * head_count,
                      0};
  const int count = (work.rows + Layout::kRows - 1) / Layout::kRows;
  for (int tile = blockIdx.y; tile < count; tile += gridDim.y) {
    work.first = (count - 1 - tile) * Layout::kRows;
    prefill_block<T, kDim, kExtras>(p, work);
  }
}

}  // namespace tutti
