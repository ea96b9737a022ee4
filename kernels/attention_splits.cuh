// How attention of one token a sequence is laid out: contexts over blocks, tiles in shared memory.
#pragma once

#include "kernels/attention_rows.cuh"

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
  float* sums = nullptr;      // [sequences, q_heads, splits, head_dim], 16-byte aligned
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

}  // namespace tutti
