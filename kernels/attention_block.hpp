// The inner loops of host attention: a handful of query rows that share a KV head, against blocks
// of cached positions, with the online softmax of Milakov & Gimelshein 2018 (as FlashAttention has
// it).
#pragma once

#include <cstdint>
#include <limits>

#include "kernels/attention.hpp"
#include "kernels/simd.hpp"

namespace tutti {

inline constexpr int kAttentionRows = 16;   // query rows of one work item
inline constexpr int kAttentionBlock = 64;  // positions of one round of the softmax

// Query rows (token, head) of one sequence and one KV head. Plain pointers: clones take it by
// value.
struct AttentionItem {
  const float* query[kAttentionRows];
  float* y[kAttentionRows];
  std::int64_t limit[kAttentionRows];  // row r attends to [max(0, limit[r] - window), limit[r])
  float slope[kAttentionRows];         // ALiBi's, or 0
  std::int64_t window;                 // the largest number where there is none
  int rows;
  int head_dim;
  float scale;
  float softcap;  // or 0
  bool sloped;
  const float* k_pages;  // of this KV head: page p begins at k_pages + p * page_stride
  const float* v_pages;
  std::int64_t page_stride;  // elements
  const std::int32_t* blocks;
  int page_shift;  // page_size = 1 << page_shift
};

// Everything is done in blocks of positions that begin at multiples of kAttentionBlock, and every
// sum within a block in one order: a row's result depends on its own keys and values alone.
struct AttendItem {
  template <int W>
  static TUTTI_INLINE void run(const AttentionItem* item_in) {
    const AttentionItem& item = *item_in;
    State state;
    std::int64_t longest = 0;
    std::int64_t first = std::numeric_limits<std::int64_t>::max();
    for (int r = 0; r < item.rows; ++r) {
      longest = item.limit[r] > longest ? item.limit[r] : longest;
      first = first_of(item, r) < first ? first_of(item, r) : first;
      state.largest[r] = -std::numeric_limits<float>::infinity();
      state.total[r] = 0;
      for (int d = 0; d < item.head_dim; ++d) {
        state.sum[r][d] = 0;
      }
    }
    for (std::int64_t begin = first / kAttentionBlock * kAttentionBlock; begin < longest;
         begin += kAttentionBlock) {
      gather_keys<W>(item, state, begin, {first, longest});
      for (int r = 0; r < item.rows; r += kRowTile) {
        const int rows = item.rows - r < kRowTile ? item.rows - r : kRowTile;
        switch (rows) {
          case 4:
            attend<W, 4>(item, state, r, begin);
            break;
          case 3:
            attend<W, 3>(item, state, r, begin);
            break;
          case 2:
            attend<W, 2>(item, state, r, begin);
            break;
          default:
            attend<W, 1>(item, state, r, begin);
        }
      }
    }
    for (int r = 0; r < item.rows; ++r) {
      const float inverse = 1.0f / state.total[r];
      for (int d = 0; d < item.head_dim; ++d) {
        item.y[r][d] = state.sum[r][d] * inverse;
      }
    }
  }

 private:
  static constexpr int kRowTile = 4;

  struct State {
    alignas(64) float keys[kAttentionMaxHeadDim][kAttentionBlock];  // transposed
    alignas(64) float scores[kRowTile][kAttentionBlock];
    alignas(64) float sum[kAttentionRows][kAttentionMaxHeadDim];
    const float* values[kAttentionBlock];
    float largest[kAttentionRows];
    float total[kAttentionRows];
  };

  // The first position that a row attends to.
  static TUTTI_INLINE std::int64_t first_of(const AttentionItem& item, int row) {
    return item.limit[row] > item.window ? item.limit[row] - item.window : 0;
  }

  // Clamped to a block that begins at `begin`.
  static TUTTI_INLINE int within_block(std::int64_t position, std::int64_t begin) {
    const std::int64_t left = position - begin;
    return left < 0 ? 0 : left > kAttentionBlock ? kAttentionBlock : int(left);
  }

  // keys[d][j] = k[begin + j][d]. Positions outside `wanted` repeat its nearest; they are masked.
  template <int W>
  static TUTTI_INLINE void gather_keys(const AttentionItem& item, State& state, std::int64_t begin,
                                       Range wanted) {
    const std::int64_t in_page = (std::int64_t{1} << item.page_shift) - 1;
    const float* keys[kAttentionBlock];
    for (int j = 0; j < kAttentionBlock; ++j) {
      const std::int64_t after = begin + j < wanted.begin ? wanted.begin : begin + j;
      const std::int64_t position = after < wanted.end ? after : wanted.end - 1;
      const std::int64_t offset = item.blocks[position >> item.page_shift] * item.page_stride +
                                  (position & in_page) * item.head_dim;
      keys[j] = item.k_pages + offset;
      state.values[j] = item.v_pages + offset;
    }
    for (int j = 0; j < kAttentionBlock; j += W) {
      int d = 0;
      for (; d + W <= item.head_dim; d += W) {
        simd::F32<W> tile[W];
        for (int i = 0; i < W; ++i) {
          simd::load(tile[i], keys[j + i] + d);
        }
        simd::transpose<W>(tile);
        for (int i = 0; i < W; ++i) {
          simd::store(&state.keys[d + i][j], tile[i]);
        }
      }
      for (; d < item.head_dim; ++d) {
        for (int i = 0; i < W; ++i) {
          state.keys[d][j + i] = keys[j + i][d];
        }
      }
    }
  }

  // One round of the softmax for rows [row, row + R).
  template <int W, int R>
  static TUTTI_INLINE void attend(const AttentionItem& item, State& state, int row,
                                  std::int64_t begin) {
    score<W, R>(item, state, row);
    int count = 0;  // positions of the block that some row attends to
    for (int r = 0; r < R; ++r) {
      const Range visible = {within_block(first_of(item, row + r), begin),
                             within_block(item.limit[row + r], begin)};
      count = visible.end > count ? int(visible.end) : count;
      if (item.softcap > 0 || item.sloped) {
        adjust<W>(item, state, row + r, r, begin);
      }
      soften<W>(item, state, row + r, r, visible);
    }
    add_values<W, R>(item, state, row, count);
  }

  // scores[r][j] = q[row + r] . k[j]
  template <int W, int R>
  static TUTTI_INLINE void score(const AttentionItem& item, State& state, int row) {
    constexpr int kTile = W == 16 ? 4 : 2;  // registers of positions at a time
    for (int j = 0; j < kAttentionBlock; j += kTile * W) {
      simd::F32<W> sum[R][kTile] = {};
      simd::F32<W> key[kTile];
      for (int d = 0; d < item.head_dim; ++d) {
        for (int t = 0; t < kTile; ++t) {
          simd::load(key[t], &state.keys[d][j + t * W]);
        }
        for (int r = 0; r < R; ++r) {
          const float q = item.query[row + r][d];
          for (int t = 0; t < kTile; ++t) {
            sum[r][t] += key[t] * q;
          }
        }
      }
      for (int r = 0; r < R; ++r) {
        for (int t = 0; t < kTile; ++t) {
          simd::store(&state.scores[r][j + t * W], sum[r][t]);
        }
      }
    }
  }

  // Scores are scaled here, capped, and take their distance into account.
  template <int W>
  static TUTTI_INLINE void adjust(const AttentionItem& item, State& state, int row, int r,
                                  std::int64_t begin) {
    simd::F32<W> v;
    simd::F32<W> distance;
    float distances[W];
    for (int j = 0; j < kAttentionBlock; j += W) {
      for (int lane = 0; lane < W; ++lane) {
        distances[lane] = float(begin + j + lane - (item.limit[row] - 1));
      }
      simd::load(distance, distances);
      simd::load(v, state.scores[r] + j);
      v *= item.scale;
      if (item.softcap > 0) {
        v /= item.softcap;
        simd::tanh<W>(v);
        v *= item.softcap;
      }
      v += distance * item.slope[row];
      simd::store(state.scores[r] + j, v);
    }
  }

  // scores become weights exp(scale * score - largest); what was summed before is rescaled.
  template <int W>
  static TUTTI_INLINE void soften(const AttentionItem& item, State& state, int row, int r,
                                  Range visible) {
    float* scores = state.scores[r];
    const float scale = item.softcap > 0 || item.sloped ? 1.0f : item.scale;
    for (std::int64_t j = 0; j < visible.begin; ++j) {
      scores[j] = -std::numeric_limits<float>::infinity();
    }
    for (std::int64_t j = visible.end; j < kAttentionBlock; ++j) {
      scores[j] = -std::numeric_limits<float>::infinity();
    }
    if (visible.empty()) {
      for (int j = 0; j < kAttentionBlock; ++j) {
        scores[j] = 0;
      }
      return;
    }
    using F = simd::F32<W>;
    F v;
    F top;
    simd::load(top, scores);
    top *= scale;
    for (int j = W; j < kAttentionBlock; j += W) {
      simd::load(v, scores + j);
      v *= scale;
      top = v > top ? v : top;
    }
    float largest = state.largest[row];
    for (int lane = 0; lane < W; ++lane) {
      largest = top[lane] > largest ? top[lane] : largest;
    }
    F total = {};
    for (int j = 0; j < kAttentionBlock; j += W) {
      simd::load(v, scores + j);
      v = v * scale - largest;
      simd::exp<W>(v);
      simd::store(scores + j, v);
      total += v;
    }
    F correction = F{} + (state.largest[row] - largest);
    simd::exp<W>(correction);
    state.largest[row] = largest;
    state.total[row] = state.total[row] * correction[0] + simd::sum_lanes<W>(total);
    if (correction[0] != 1.0f) {
      for (int d = 0; d < item.head_dim; ++d) {
        state.sum[row][d] *= correction[0];
      }
    }
  }

  // sum[row + r] += sum_j scores[r][j] v[j]
  template <int W, int R>
  static TUTTI_INLINE void add_values(const AttentionItem& item, State& state, int row, int count) {
    constexpr int kTile = W == 16 ? 4 : 2;
    int d = 0;
    for (; d + kTile * W <= item.head_dim; d += kTile * W) {
      add_columns<W, R, kTile>(state, row, count, d);
    }
    for (; d + W <= item.head_dim; d += W) {
      add_columns<W, R, 1>(state, row, count, d);
    }
    for (; d < item.head_dim; ++d) {
      for (int r = 0; r < R; ++r) {
        for (int j = 0; j < count; ++j) {
          state.sum[row + r][d] += state.scores[r][j] * state.values[j][d];
        }
      }
    }
  }

  template <int W, int R, int T>
  static TUTTI_INLINE void add_columns(State& state, int row, int count, int d) {
    simd::F32<W> sum[R][T];
    simd::F32<W> value[T];
    for (int r = 0; r < R; ++r) {
      for (int t = 0; t < T; ++t) {
        simd::load(sum[r][t], &state.sum[row + r][d + t * W]);
      }
    }
    for (int j = 0; j < count; ++j) {
      for (int t = 0; t < T; ++t) {
        simd::load(value[t], state.values[j] + d + t * W);
      }
      for (int r = 0; r < R; ++r) {
        const float weight = state.scores[r][j];
        for (int t = 0; t < T; ++t) {
          sum[r][t] += value[t] * weight;
        }
      }
    }
    for (int r = 0; r < R; ++r) {
      for (int t = 0; t < T; ++t) {
        simd::store(&state.sum[row + r][d + t * W], sum[r][t]);
      }
    }
  }
};

}  // namespace tutti
