// Experts' products for few tokens, bound by reading the weights of the chosen experts once. A warp
// takes a few rows of one expert's matrix and up to four of its pairs at a time; a lane keeps whole
// 16-byte vectors of every row in flight. No tensor cores: an expert has one or two tokens.
#pragma once

#include "kernels/activation.cuh"
#include "kernels/cuda_launch.cuh"
#include "kernels/cuda_vectors.cuh"

namespace tutti::expert_gemm_few {

inline constexpr int kWarps = 4;
inline constexpr int kRows = 4;   // of the weight, for a warp; gated: half of them up rows
inline constexpr int kPairs = 4;  // at once

template <typename T>
struct Args {
  const T* x;
  std::int64_t x_stride;
  int pairs_of_row;  // of x
  const T* weights;
  std::int64_t expert_stride;
  std::int64_t up;  // elements from a gate's row to its up row
  const int* order;
  const int* begin;
  const int* active;
  T* y;
  std::int64_t y_stride;
  int in;
  int columns;  // of y
  Activation kind;
};

__device__ inline float activate_as(Activation kind, float x) {
  switch (kind) {
    case Activation::silu:
      return activate<Activation::silu>(x);
    case Activation::gelu_tanh:
      return activate<Activation::gelu_tanh>(x);
    case Activation::gelu_erf:
      return activate<Activation::gelu_erf>(x);
    default:
      return activate<Activation::relu>(x);
  }
}

// kStep elements of a row as they lie in memory.
template <typename T, int kStep>
struct Piece {
  T at[kStep];

  // Weights: read once.
  __device__ static Piece streamed(const T* from) {
    Piece piece;
    if constexpr (sizeof(Piece) == 16) {
      const uint4 bits = load_streaming(from);
      memcpy(&piece, &bits, sizeof bits);
    } else if constexpr (sizeof(Piece) == 32) {
      const uint4 low = load_streaming(from);
      const uint4 high = load_streaming(from + kStep / 2);
      memcpy(&piece.at[0], &low, sizeof low);
      memcpy(&piece.at[kStep / 2], &high, sizeof high);
    } else {
      static_assert(kStep == 1);
      piece.at[0] = *from;
    }
    return piece;
  }
};

// Sums of the warp's rows with up to kPairs rows of x, complete in every lane. The order of a sum
// depends on `in` and the alignment alone.
template <typename T, int kStep>
__device__ inline void multiply(const Args<T>& args, const T* const (&rows)[kRows],
                                const T* const (&x)[kPairs], int pairs,
                                float (&sums)[kRows][kPairs]) {
  constexpr int kAhead = 2;  // pieces of a row in flight
  const int lane = static_cast<int>(threadIdx.x) % 32;
  for (int begin = lane * kStep; begin < args.in; begin += kAhead * 32 * kStep) {
    Piece<T, kStep> w[kAhead][kRows];
#pragma unroll
    for (int a = 0; a < kAhead; ++a) {
      const int i = begin + a * 32 * kStep;
      if (i < args.in) {
#pragma unroll
        for (int r = 0; r < kRows; ++r) {
          w[a][r] = Piece<T, kStep>::streamed(rows[r] + i);
        }
      }
    }
#pragma unroll
    for (int a = 0; a < kAhead; ++a) {
      const int i = begin + a * 32 * kStep;
      if (i < args.in) {
#pragma unroll
        for (int p = 0; p < kPairs; ++p) {
          if (p < pairs) {
            float v[kStep];
            if constexpr (kStep == kLanes) {
              load8(x[p] + i, v);
            } else {
              v[0] = widen(x[p][i]);
            }
#pragma unroll
            for (int r = 0; r < kRows; ++r) {
#pragma unroll
              for (int e = 0; e < kStep; ++e) {
                sums[r][p] = fmaf(widen(w[a][r].at[e]), v[e], sums[r][p]);
              }
            }
          }
        }
      }
    }
  }
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
#pragma unroll
    for (int p = 0; p < kPairs; ++p) {
#pragma unroll
      for (int distance = 16; distance > 0; distance /= 2) {
        sums[r][p] += __shfl_xor_sync(0xffffffffu, sums[r][p], distance);
      }
    }
  }
}

// Block (rows, active expert).
template <typename T, bool kGated, int kStep>
__global__ void __launch_bounds__(kWarps * 32) expert_gemm_few_kernel(Args<T> args) {
  constexpr int kColumns = kGated ? kRows / 2 : kRows;  // of y, for a warp
  release_dependents();
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int first = static_cast<int>((blockIdx.x * kWarps + threadIdx.x / 32) * kColumns);
  wait_for_predecessor();
  if (first >= args.columns || static_cast<int>(blockIdx.y) >= args.active[0]) {
    return;
  }
  const int expert = args.active[1 + blockIdx.y];
  const int begin = args.begin[expert];
  const int end = args.begin[expert + 1];
  const T* const weight = args.weights + expert * args.expert_stride;
  const T* rows[kRows];
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    const int column = min(first + r % kColumns, args.columns - 1);
    rows[r] = weight + std::int64_t{column} * args.in + (r >= kColumns ? args.up : 0);
  }
  for (int at = begin; at < end; at += kPairs) {
    const int pairs = min(kPairs, end - at);
    int pair[kPairs];
    const T* x[kPairs];
#pragma unroll
    for (int p = 0; p < kPairs; ++p) {
      pair[p] = args.order[at + min(p, pairs - 1)];
      x[p] = args.x + pair[p] / args.pairs_of_row * args.x_stride;
    }
    float sums[kRows][kPairs] = {};
    multiply<T, kStep>(args, rows, x, pairs, sums);
#pragma unroll
    for (int p = 0; p < kPairs; ++p) {
#pragma unroll
      for (int c = 0; c < kColumns; ++c) {
        if (lane == p * kColumns + c && p < pairs && first + c < args.columns) {
          float value = sums[c][p];
          if constexpr (kGated) {
            value = activate_as(args.kind, value) * sums[kColumns + c][p];
          }
          args.y[pair[p] * args.y_stride + first + c] = narrow<T>(value);
        }
      }
    }
  }
}

template <typename T, bool kGated>
void start(const CudaContext& context, const Exec& exec, const Args<T>& args, bool vectors,
           std::int64_t most_active) {
  constexpr int kColumns = kWarps * (kGated ? kRows / 2 : kRows);
  const dim3 grid(static_cast<unsigned>((args.columns + kColumns - 1) / kColumns),
                  static_cast<unsigned>(most_active));
  launch(
      context, exec, "expert_gemm",
      vectors ? &expert_gemm_few_kernel<T, kGated, kLanes> : &expert_gemm_few_kernel<T, kGated, 1>,
      grid, dim3(kWarps * 32), 0, args);
}

}  // namespace tutti::expert_gemm_few
