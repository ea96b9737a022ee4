// Experts' products for few tokens, bound by reading the weights of the chosen experts once. A warp
// takes a few rows of one expert's matrix and up to four of its pairs at a time; a lane keeps whole
// 16-byte vectors of every row in flight, the first of them before it knows the pairs. No tensor
// cores: an expert has one or two tokens.
#pragma once

#include "kernels/activation.cuh"
#include "kernels/cuda_launch.cuh"
#include "kernels/cuda_vectors.cuh"

namespace tutti::expert_gemm_few {

inline constexpr int kWarps = 4;
inline constexpr int kRows = 4;       // of the weight, for a warp; gated: half of them up rows
inline constexpr int kMostPairs = 4;  // at once
template <typename T>
inline constexpr int kAhead = sizeof(T) == 4 ? 1 : 2;  // pieces of a row in flight
// Blocks that a multiprocessor's registers must suffice for. One token: the 768 blocks of a gate
// and the 1024 of a down product, of 8 experts with 768 columns and a hidden size of 2048, are one
// wave on 132 multiprocessors, with 90 to 130 KB of weights in flight on each.
template <typename T, bool kGated, bool kOneToken>
inline constexpr int kBlocks = sizeof(T) == 4 || !kOneToken ? 4 : (kGated ? 6 : 8);

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
  bool groups_settled;  // ExpertGemmArgs
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

// Past the first-level cache, and where it stands in the program: what an earlier kernel wrote
// while this one had started already.
__device__ inline int load_coherent(const int* from) {
  int value;
  asm volatile("ld.relaxed.gpu.global.s32 %0, [%1];" : "=r"(value) : "l"(from) : "memory");
  return value;
}

// The rows of a warp: neighbours, gated: half of them the gate's and as many up rows. Those beyond
// the last column repeat it.
template <typename T, bool kGated>
struct Rows {
  static constexpr int kColumns = kGated ? kRows / 2 : kRows;  // of y
  const T* begin;
  std::int64_t up;
  int steps[kColumns];  // elements from the first row on

  __device__ void set(const Args<T>& args, int expert, int first) {
    begin = args.weights + expert * args.expert_stride + std::int64_t{first} * args.in;
    up = args.up;
#pragma unroll
    for (int c = 0; c < kColumns; ++c) {
      steps[c] = min(c, args.columns - 1 - first) * args.in;
    }
  }
  __device__ const T* at(int r, int i) const {
    return begin + (r >= kColumns ? up : 0) + (steps[r % kColumns] + i);
  }
};

// What a warp has in flight: kAhead pieces of each of its rows, lane i's beside lane i + 1's.
template <typename T, int kStep, int kAhead>
struct Ahead {
  static constexpr int kStride = 32 * kStep;      // elements between two pieces of a lane
  static constexpr int kLoad = kAhead * kStride;  // elements of a row in flight
  Piece<T, kStep> at[kAhead][kRows];

  template <bool kGated>
  __device__ void load(const Rows<T, kGated>& rows, int begin, int in) {
#pragma unroll
    for (int a = 0; a < kAhead; ++a) {
      const int i = begin + a * kStride;
      if (i < in) {
#pragma unroll
        for (int r = 0; r < kRows; ++r) {
          at[a][r] = Piece<T, kStep>::streamed(rows.at(r, i));
        }
      }
    }
  }
  // Adds the products of what is there, elements begin, … of the rows, with x.
  __device__ void multiply(const T* x, int begin, int in, float (&sums)[kRows]) const {
    Piece<T, kStep> v[kAhead];
#pragma unroll
    for (int a = 0; a < kAhead; ++a) {
      const int i = begin + a * kStride;
      if (i < in) {
        v[a] = Piece<T, kStep>::plain(x + i);
      }
    }
#pragma unroll
    for (int a = 0; a < kAhead; ++a) {
      if (begin + a * kStride < in) {
        float of_x[kStep];
        v[a].widen_to(of_x);
#pragma unroll
        for (int r = 0; r < kRows; ++r) {
          float of_row[kStep];
          at[a][r].widen_to(of_row);
#pragma unroll
          for (int e = 0; e < kStep; ++e) {
            sums[r] = fmaf(of_row[e], of_x[e], sums[r]);
          }
        }
      }
    }
  }
};

// Sums of the warp's rows with up to kPairs rows of x, complete in every lane; `ahead` holds the
// beginning of the rows. The order of a sum depends on `in` and the alignment alone.
template <typename T, bool kGated, int kStep, int kAhead, int kPairs>
__device__ inline void multiply(const Rows<T, kGated>& rows, const T* const (&x)[kPairs], int pairs,
                                int in, Ahead<T, kStep, kAhead>& ahead,
                                float (&sums)[kPairs][kRows]) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll 1
  for (int begin = lane * kStep; begin < in; begin += ahead.kLoad) {
#pragma unroll
    for (int p = 0; p < kPairs; ++p) {
      if (p < pairs) {
        ahead.multiply(x[p], begin, in, sums[p]);
      }
    }
    ahead.load(rows, begin + ahead.kLoad, in);
  }
#pragma unroll
  for (int p = 0; p < kPairs; ++p) {
    if (p < pairs) {
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
#pragma unroll
        for (int distance = 16; distance > 0; distance /= 2) {
          sums[p][r] += __shfl_xor_sync(0xffffffffu, sums[p][r], distance);
        }
      }
    }
  }
}

// Up to kPairs of an expert's pairs, from place `at` of the order on, and their rows of x.
template <typename T, int kPairs>
struct Pairs {
  int count;
  int number[kPairs];
  const T* x[kPairs];

  __device__ void load(const Args<T>& args, int at, int end) {
    count = min(kPairs, end - at);
#pragma unroll
    for (int p = 0; p < kPairs; ++p) {
      number[p] = load_coherent(args.order + at + min(p, count - 1));
      x[p] = args.x + number[p] / args.pairs_of_row * args.x_stride;
    }
  }
  // One token has a pair with each active expert, in their order, and no row of x but the first
  // where pairs have none of their own: nothing else need be known.
  __device__ void load_of_one_token(const Args<T>& args, int at) {
    count = 1;
    number[0] = load_coherent(args.order + at);  // of no meaning beyond the active experts
    x[0] = args.x + (args.pairs_of_row == 1 ? number[0] * args.x_stride : 0);
  }
};

template <typename T, bool kGated, int kPairs>
__device__ inline void store(const Args<T>& args, const Pairs<T, kPairs>& pairs,
                             const float (&sums)[kPairs][kRows], int first) {
  constexpr int kColumns = Rows<T, kGated>::kColumns;
  const int lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll
  for (int p = 0; p < kPairs; ++p) {
#pragma unroll
    for (int c = 0; c < kColumns; ++c) {
      if (lane == p * kColumns + c && p < pairs.count && first + c < args.columns) {
        float value = sums[p][c];
        if constexpr (kGated) {
          value = activate_as(args.kind, value) * sums[p][kColumns + c];
        }
        args.y[pairs.number[p] * args.y_stride + first + c] = narrow<T>(value);
      }
    }
  }
}

// Block (rows, active expert). It releases the next kernel after its wait, so that the groups are
// settled for the next product: whoever wrote them was complete before any block of this kernel
// released that one, and their bits lie in the second-level cache, where load_coherent reads.
template <typename T, bool kGated, int kStep, bool kOneToken>
__global__ void __launch_bounds__(kWarps * 32, kBlocks<T, kGated, kOneToken>)
    expert_gemm_few_kernel(Args<T> args) {
  constexpr int kPairs = kOneToken ? 1 : kMostPairs;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int first =
      static_cast<int>((blockIdx.x * kWarps + threadIdx.x / 32) * Rows<T, kGated>::kColumns);
  const int place = static_cast<int>(blockIdx.y);
  if (!args.groups_settled) {
    wait_for_predecessor();
    release_dependents();
  }
  const int used = load_coherent(args.active);
  const int expert = load_coherent(args.active + 1 + place);  // of no meaning from `used` on
  Pairs<T, kPairs> pairs;
  if constexpr (kOneToken) {
    pairs.load_of_one_token(args, place);
  }
  const bool idle = first >= args.columns || place >= used;
  Rows<T, kGated> rows;
  Ahead<T, kStep, kAhead<T>> ahead;
  int begin = 0;
  int end = 0;
  if (!idle) {
    rows.set(args, expert, first);
    ahead.load(rows, lane * kStep, args.in);
    if constexpr (!kOneToken) {
      begin = load_coherent(args.begin + expert);
      end = load_coherent(args.begin + expert + 1);
    }
  }
  if (args.groups_settled) {
    wait_for_predecessor();
    release_dependents();
  }
  if constexpr (kOneToken) {
    if (!idle) {
      float sums[kPairs][kRows] = {};
      multiply(rows, pairs.x, 1, args.in, ahead, sums);
      store<T, kGated>(args, pairs, sums, first);
    }
  } else {
#pragma unroll 1
    for (int at = begin; at < end; at += kPairs) {
      pairs.load(args, at, end);
      if (at > begin) {
        ahead.load(rows, lane * kStep, args.in);
      }
      float sums[kPairs][kRows] = {};
      multiply(rows, pairs.x, pairs.count, args.in, ahead, sums);
      store<T, kGated>(args, pairs, sums, first);
    }
  }
}

template <typename T, bool kGated>
void start(const CudaContext& context, const Exec& exec, const Args<T>& args, bool vectors,
           bool one_token, std::int64_t most_active) {
  constexpr int kColumns = kWarps * Rows<T, kGated>::kColumns;
  const dim3 grid(static_cast<unsigned>((args.columns + kColumns - 1) / kColumns),
                  static_cast<unsigned>(most_active));
  const auto kernel = !vectors    ? &expert_gemm_few_kernel<T, kGated, 1, false>
                      : one_token ? &expert_gemm_few_kernel<T, kGated, kLanes, true>
                                  : &expert_gemm_few_kernel<T, kGated, kLanes, false>;
  allow_shared_memory(kernel, 0);  // none, but the split of the products before and after it
  launch(context, exec, "expert_gemm", kernel, grid, dim3(kWarps * 32), 0, args);
}

}  // namespace tutti::expert_gemm_few
