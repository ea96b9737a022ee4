// Experts' products for many tokens, on tensor cores: a block takes a tile of one expert's pairs
// and a tile of its rows, and walks along them with two stages in shared memory.
#pragma once

#include "kernels/attention_rows.cuh"
#include "kernels/expert_gemm_few.cuh"
#include "kernels/expert_groups.hpp"

namespace tutti::expert_gemm_many {

inline constexpr int kWarps = 4;  // two along the pairs, two along the rows
inline constexpr int kTile = kExpertTile;
inline constexpr int kDepth = 64;           // elements of a stage
inline constexpr int kStride = kDepth + 8;  // rows of a tile begin in different banks
inline constexpr int kElements = kTile * kStride;
inline constexpr int kChunks = kDepth / 8;                       // 16-byte copies of a row
inline constexpr int kCopies = kTile * kChunks / (kWarps * 32);  // of a thread, for a tile

template <typename T>
struct Args {
  expert_gemm_few::Args<T> few;
  const int* tiles;
  int experts;
};

template <typename T, bool kGated>
constexpr std::size_t shared_bytes() {
  return sizeof(T) * 2 * (kGated ? 3 : 2) * kElements;
}

// The expert whose tiles hold `tile`.
__device__ inline int expert_of_tile(const int* tiles, int experts, int tile) {
  int low = 0;  // tiles[low] <= tile < tiles[high]
  int high = experts;
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    if (tiles[middle] <= tile) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return low;
}

// What a thread copies in each stage: its rows of x and of the weight, null where there is none.
template <typename T, bool kGated>
struct Copies {
  const T* x[kCopies];
  const T* weight[kCopies];
  int row;     // of the tile: the first, others are 128 / kChunks apart
  int column;  // within a stage

  __device__ Copies(const Args<T>& args, int expert, int first_pair, int end, int first_column)
      : row(static_cast<int>(threadIdx.x) / kChunks),
        column(static_cast<int>(threadIdx.x) % kChunks * 8) {
    const T* const matrix = args.few.weights + expert * args.few.expert_stride;
#pragma unroll
    for (int i = 0; i < kCopies; ++i) {
      const int at = row + i * (kWarps * 32 / kChunks);
      x[i] = first_pair + at < end ? args.few.x + args.few.order[first_pair + at] /
                                                      args.few.pairs_of_row * args.few.x_stride
                                   : nullptr;
      weight[i] = first_column + at < args.few.columns
                      ? matrix + std::int64_t{first_column + at} * args.few.in
                      : nullptr;
    }
  }

  __device__ void start(const Args<T>& args, T* stage, int depth) const {
    const bool within = depth + column < args.few.in;
#pragma unroll
    for (int i = 0; i < kCopies; ++i) {
      T* const to = stage + (row + i * (kWarps * 32 / kChunks)) * kStride + column;
      copy(to, x[i], depth, within, args.few.x);
      copy(to + kElements, weight[i], depth, within, args.few.weights);
      if constexpr (kGated) {
        const T* const up = weight[i] != nullptr ? weight[i] + args.few.up : nullptr;
        copy(to + 2 * kElements, up, depth, within, args.few.weights);
      }
    }
    commit_copies();
  }

 private:
  __device__ void copy(T* to, const T* from, int depth, bool within, const T* somewhere) const {
    const bool wanted = within && from != nullptr;
    copy_async(to, wanted ? from + depth + column : somewhere, wanted);
  }
};

// Of a warp: 32 pairs by 32 rows, for the gate and up rows.
template <bool kGated>
struct Sums {
  float at[kGated ? 2 : 1][2][4][4] = {};
};

template <typename T, bool kGated>
__device__ inline void multiply(Sums<kGated>& sums, const T* stage, int warp, int lane) {
  const T* const x = stage + warp / 2 * 32 * kStride + left_operand(lane, kStride);
  const T* const w = stage + kElements + warp % 2 * 32 * kStride + right_operand(lane, kStride);
#pragma unroll
  for (int k = 0; k < kDepth; k += 16) {
    std::uint32_t a[2][4];
#pragma unroll
    for (int m = 0; m < 2; ++m) {
      load_matrices(a[m], x + 16 * m * kStride + k);
    }
#pragma unroll
    for (int half = 0; half < (kGated ? 2 : 1); ++half) {
#pragma unroll
      for (int n = 0; n < 4; n += 2) {
        std::uint32_t b[4];
        load_matrices(b, w + half * kElements + 8 * n * kStride + k);
#pragma unroll
        for (int m = 0; m < 2; ++m) {
          multiply_add<T>(sums.at[half][m][n], a[m], b[0], b[1]);
          multiply_add<T>(sums.at[half][m][n + 1], a[m], b[2], b[3]);
        }
      }
    }
  }
}

template <typename T, bool kGated>
__device__ inline void store(const Args<T>& args, const Sums<kGated>& sums, int first_pair, int end,
                             int first_column, int warp, int lane) {
#pragma unroll
  for (int m = 0; m < 2; ++m) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int at = first_pair + warp / 2 * 32 + 16 * m + 8 * half + lane / 4;
      if (at >= end) {
        continue;
      }
      T* const y = args.few.y + args.few.order[at] * args.few.y_stride;
#pragma unroll
      for (int n = 0; n < 4; ++n) {
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          const int column = first_column + warp % 2 * 32 + 8 * n + lane % 4 * 2 + i;
          float value = sums.at[0][m][n][2 * half + i];
          if constexpr (kGated) {
            value =
                expert_gemm_few::activate_as(args.few.kind, value) * sums.at[1][m][n][2 * half + i];
          }
          if (column < args.few.columns) {
            y[column] = narrow<T>(value);
          }
        }
      }
    }
  }
}

// Block (tile of columns of y, tile of pairs).
template <typename T, bool kGated>
__global__ void __launch_bounds__(kWarps * 32, 2) expert_gemm_many_kernel(Args<T> args) {
  constexpr int kStage = (kGated ? 3 : 2) * kElements;
  wait_for_predecessor();
  release_dependents();  // as the kernel for few tokens: the next product's groups are settled
  const int tile = static_cast<int>(blockIdx.y);
  if (tile >= args.tiles[args.experts]) {
    return;
  }
  const int expert = expert_of_tile(args.tiles, args.experts, tile);
  const int first_pair = args.few.begin[expert] + (tile - args.tiles[expert]) * kTile;
  const int end = args.few.begin[expert + 1];
  const int first_column = static_cast<int>(blockIdx.x) * kTile;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  T* const stages = reinterpret_cast<T*>(shared_memory());
  const Copies<T, kGated> copies(args, expert, first_pair, end, first_column);
  Sums<kGated> sums;
  copies.start(args, stages, 0);
  int stage = 0;
#pragma unroll 1
  for (int depth = 0; depth < args.few.in; depth += kDepth) {
    wait_copies<0>();
    __syncthreads();  // this stage is there, and nobody works on the other any more
    if (depth + kDepth < args.few.in) {
      copies.start(args, stages + (1 - stage) * kStage, depth + kDepth);
    }
    multiply<T, kGated>(sums, stages + stage * kStage, warp, lane);
    stage = 1 - stage;
  }
  store<T, kGated>(args, sums, first_pair, end, first_column, warp, lane);
}

template <typename T, bool kGated>
void start(const CudaContext& context, const Exec& exec, const Args<T>& args,
           std::int64_t most_tiles) {
  allow_shared_memory(&expert_gemm_many_kernel<T, kGated>, shared_bytes<T, kGated>());
  const dim3 grid(static_cast<unsigned>((args.few.columns + kTile - 1) / kTile),
                  static_cast<unsigned>(most_tiles));
  launch(context, exec, "expert_gemm", &expert_gemm_many_kernel<T, kGated>, grid, dim3(kWarps * 32),
         shared_bytes<T, kGated>(), args);
}

}  // namespace tutti::expert_gemm_many
