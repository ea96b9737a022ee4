// A weight matrix times up to 16 tokens, bound by reading the weights once. Tensor cores multiply
// 16 rows with 8 tokens at a time, so that one token costs what eight do.
//
// Each block owns a contiguous, equal share of the rows and takes them in passes of 16 * MT. Its
// warps split the row in slices of 64 elements, in turn: warp w takes slices w, w + 4, … of every
// row of the pass and keeps its own ring of stages in shared memory, filled by cp.async, so that
// warps wait for nobody but their own loads until a pass ends and their sums are added, in the
// warps' order. The order of a sum thus depends on the row's length alone: not on the device, the
// number of tokens, or which rows this rank holds.
//
// The ring is filled with weights before the kernel waits for its predecessor; x follows after
// that.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstddef>
#include <cstdint>

#include "kernels/activation.cuh"
#include "kernels/cuda_launch.cuh"
#include "kernels/cuda_types.cuh"
#include "kernels/skinny_gemm_parts.cuh"

namespace tutti::skinny {

inline constexpr int kMostTokens = 16;
inline constexpr int kWarps = 4;
inline constexpr int kSlice = 64;

struct Args {
  const void* weight = nullptr;
  std::int64_t weight_stride = 0;  // elements
  std::int64_t up = 0;             // gated: elements from a gate's row to its up row
  const void* x = nullptr;
  std::int64_t x_stride = 0;
  const float* bias = nullptr;  // or none
  void* y = nullptr;
  std::int64_t y_stride = 0;
  bool y_is_f32 = false;
  int tokens = 0;
  int in = 0;
  std::int64_t rows = 0;  // of the weight; gated: columns of y
  int release_ahead = 0;  // GemmTuning
  bool alone = false;     // GemmArgs
  int prefetch = 0;       // elements of a row
};

// How a block divides its work: MT tiles of 16 rows and NT tiles of 8 tokens at once; stages of KS
// elements of each row (64, or half a slice), S of them in a warp's ring. Gated: the upper half of
// the rows at once are up rows.
template <typename T, int MT, int NT, int KS, int S, bool kIsGated, Activation kKind>
struct Division {
  using Element = T;
  static constexpr bool kGated = kIsGated;
  static constexpr Activation kActivation = kKind;  // of the gate
  static constexpr int kRowTiles = MT;
  static constexpr int kTokenTiles = NT;
  static constexpr int kStages = S;
  static constexpr int kStage = KS;
  static constexpr int kRows = 16 * MT;
  static constexpr int kPass = kGated ? kRows / 2 : kRows;  // rows of y in a pass
  static constexpr int kVectors = KS / 8;                   // 16-byte vectors of a row in a stage
  static constexpr int kRowBytes = KS * 2;
  static constexpr int kStagesOfSlice = kSlice / KS;
  static constexpr int kSumPitch = kRows + 4;  // stores of a warp's sums meet all banks
  static_assert(KS == 64 || KS == 32);

  __host__ __device__ static constexpr int stage_bytes(int tokens) {
    return (kRows + tokens) * kRowBytes;
  }
  // Where vector v of a row lies in it. Eight threads read 64 bytes of an even and an odd row at
  // once: rows of 128 bytes swap their halves in turn to lie in different banks.
  __device__ static constexpr int place_of(int row, int v) {
    return (KS == 64 ? v ^ ((row & 1) << 2) : v) * 16;
  }
};

template <typename C>
constexpr std::size_t shared_bytes(int tokens) {
  return std::size_t(kWarps) * C::kStages * C::stage_bytes(tokens) +
         sizeof(float) * kWarps * 8 * C::kTokenTiles * C::kSumPitch;
}

// Which stage of the block's work comes next for one warp, and where its lane reads it.
template <typename C>
struct Cursor {
  using T = typename C::Element;

  std::int64_t first;  // the block's rows
  int count;
  int passes;
  int warp;
  int lane_row;     // of the rows that the warp loads at once, this lane's
  int lane_vector;  // and of that row, the vector
  int steps;        // stages of this warp in a pass
  int pass = 0;
  int step = 0;
  int begin = 0;  // rows of the pass: begin, … of the block's
  int rows = 0;
  const T* from = nullptr;  // the lane's vector of the pass's first stage, were it slice 0

  __device__ Cursor(const Args& args, int warp_in, int lane)
      : warp(warp_in), lane_row(lane / C::kVectors), lane_vector(lane % C::kVectors) {
    first = args.rows * blockIdx.x / gridDim.x;
    count = static_cast<int>(args.rows * (blockIdx.x + 1) / gridDim.x - first);
    passes = (count + C::kPass - 1) / C::kPass;
    const int slices = (args.in + kSlice - 1) / kSlice;
    steps = (slices - warp + kWarps - 1) / kWarps * C::kStagesOfSlice;  // 0 where slices <= warp
    enter(args, 0);
  }
  __device__ int total() const { return passes * steps; }
  __device__ bool valid() const { return pass < passes && steps > 0; }
  __device__ void enter(const Args& args, int pass_in) {  // passes are as equal as can be
    pass = pass_in;
    begin = count * pass / passes;
    rows = count * (pass + 1) / passes - begin;
    from = static_cast<const T*>(args.weight) + (first + begin + lane_row) * args.weight_stride +
           lane_vector * 8;
  }
  __device__ int element() const {  // of the row, where the stage begins
    return (warp + kWarps * (step / C::kStagesOfSlice)) * kSlice +
           step % C::kStagesOfSlice * C::kStage;
  }
  __device__ void advance(const Args& args) {
    if (++step == steps) {
      step = 0;
      enter(args, pass + 1);
    }
  }
};

// Starts loading this lane's share of a stage: its vector of every kRowsAtOnce-th of `rows` rows.
// `bytes` is 0 beyond the end of the rows, for zeros.
template <typename C, int kMostRows, bool kWeights>
__device__ inline void load_rows(unsigned to, const typename C::Element* from, std::int64_t stride,
                                 int rows, int bytes, std::uint64_t policy) {
  constexpr int kRowsAtOnce = 32 / C::kVectors;
  const std::int64_t step = kRowsAtOnce * stride;
#pragma unroll
  for (int r = 0; r < kMostRows; r += kRowsAtOnce) {
    if (r < rows) {
      if constexpr (kWeights) {
        copy_async_once(to + r * C::kRowBytes, from, bytes, policy);
      } else {
        copy_async(to + r * C::kRowBytes, from, bytes);
      }
    }
    from += step;
  }
}

// `stage`: where this lane's first vector goes.
template <typename C>
__device__ inline void load_weights(const Args& args, const Cursor<C>& at, unsigned stage,
                                    std::uint64_t policy) {
  const int element = at.element();
  const int bytes = element + at.lane_vector * 8 < args.in ? 16 : 0;
  const int rows = at.rows - at.lane_row;
  load_rows<C, C::kPass, true>(stage, at.from + element, args.weight_stride, rows, bytes, policy);
  if constexpr (C::kGated) {
    load_rows<C, C::kPass, true>(stage + C::kPass * C::kRowBytes, at.from + args.up + element,
                                 args.weight_stride, rows, bytes, policy);
  }
}

// `x`: this lane's vector of slice 0.
template <typename C>
__device__ inline void load_x(const Args& args, const Cursor<C>& at, unsigned stage,
                              const typename C::Element* x) {
  const int element = at.element();
  const int bytes = element + at.lane_vector * 8 < args.in ? 16 : 0;
  load_rows<C, 8 * C::kTokenTiles, false>(stage + C::kRows * C::kRowBytes, x + element,
                                          args.x_stride, args.tokens - at.lane_row, bytes, 0);
}

// What lies in the rows of the first pass beyond the ring, into the second-level cache.
template <typename C>
__device__ inline void prefetch_beyond(const Args& args, const Cursor<C>& start) {
#if __CUDA_ARCH__ >= 900
  using T = typename C::Element;
  constexpr int kInRing = C::kStages * kWarps * kSlice / C::kStagesOfSlice;
  const int row = static_cast<int>(threadIdx.x) % C::kPass;
  const int half = static_cast<int>(threadIdx.x) / C::kPass;
  const int elements = min(args.prefetch, args.in - kInRing);
  if (elements > 0 && half < (C::kGated ? 2 : 1) && row < start.rows) {
    const T* from = static_cast<const T*>(args.weight) + half * args.up +
                    (start.first + row) * args.weight_stride + kInRing;
    prefetch_to_l2(from, elements * static_cast<int>(sizeof(T)));
  }
#endif
}

// The sums of one warp over its slices: 16 rows by 8 tokens each, as mma spreads them over lanes.
template <typename C>
struct Sums {
  float at[C::kRowTiles][C::kTokenTiles][4];

  __device__ void clear() {
#pragma unroll
    for (int m = 0; m < C::kRowTiles; ++m) {
#pragma unroll
      for (int n = 0; n < C::kTokenTiles; ++n) {
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          at[m][n][e] = 0.0f;
        }
      }
    }
  }
};

// A stage as mma wants it. The k index of an mma may be any permutation as long as weights and
// tokens agree: each lane takes 8 neighbouring elements of its row and of its token, where the
// instruction's own order would have it gather pairs.
template <typename C>
struct Fragments {
  static constexpr int kBlocks = C::kStage / 32;
  uint4 weight[kBlocks][C::kRowTiles][2];
  uint4 x[kBlocks][C::kTokenTiles];

  __device__ void load(const unsigned char* stage, int tokens, int lane) {
    const int row = lane / 4;
#pragma unroll
    for (int k = 0; k < kBlocks; ++k) {
      const int vector = 4 * k + lane % 4;
      const unsigned char* w = stage + row * C::kRowBytes + C::place_of(row, vector);
#pragma unroll
      for (int m = 0; m < C::kRowTiles; ++m) {
        weight[k][m][0] = *reinterpret_cast<const uint4*>(w + 16 * m * C::kRowBytes);
        weight[k][m][1] = *reinterpret_cast<const uint4*>(w + (16 * m + 8) * C::kRowBytes);
      }
#pragma unroll
      for (int n = 0; n < C::kTokenTiles; ++n) {
        const int token = min(8 * n + row, tokens - 1);  // columns beyond are never looked at
        x[k][n] = *reinterpret_cast<const uint4*>(stage + (C::kRows + token) * C::kRowBytes +
                                                  C::place_of(token, vector));
      }
    }
  }

  __device__ void multiply(Sums<C>& sums) const {
    using T = typename C::Element;
#pragma unroll
    for (int k = 0; k < kBlocks; ++k) {
#pragma unroll
      for (int m = 0; m < C::kRowTiles; ++m) {
        const uint4& a = weight[k][m][0];
        const uint4& b = weight[k][m][1];
#pragma unroll
        for (int n = 0; n < C::kTokenTiles; ++n) {
          mma(T{}, sums.at[m][n], a.x, b.x, a.y, b.y, x[k][n].x, x[k][n].y);
        }
      }
#pragma unroll
      for (int m = 0; m < C::kRowTiles; ++m) {
        const uint4& a = weight[k][m][0];
        const uint4& b = weight[k][m][1];
#pragma unroll
        for (int n = 0; n < C::kTokenTiles; ++n) {
          mma(T{}, sums.at[m][n], a.z, b.z, a.w, b.w, x[k][n].z, x[k][n].w);
        }
      }
    }
  }
};

template <typename C>
__device__ inline void store_y(const Args& args, int token, std::int64_t row, float value) {
  const std::int64_t at = token * args.y_stride + row;
  if (args.y_is_f32) {
    static_cast<float*>(args.y)[at] = value;
  } else {
    static_cast<typename C::Element*>(args.y)[at] = narrow<typename C::Element>(value);
  }
}

// Adds the warps' sums of a pass, in their order, and writes y. All threads of the block.
template <typename C>
__device__ inline void finish_pass(const Args& args, const Sums<C>& sums, float* shared_sums,
                                   int warp, int lane, std::int64_t first, int rows) {
  constexpr int kWarpSums = 8 * C::kTokenTiles * C::kSumPitch;
  float* mine = shared_sums + warp * kWarpSums;
#pragma unroll
  for (int n = 0; n < C::kTokenTiles; ++n) {
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      const int token = 8 * n + 2 * (lane % 4) + e % 2;
#pragma unroll
      for (int m = 0; m < C::kRowTiles; ++m) {
        if (token < args.tokens) {
          mine[token * C::kSumPitch + 16 * m + lane / 4 + 8 * (e / 2)] = sums.at[m][n][e];
        }
      }
    }
  }
  __syncthreads();
  const auto sum_of = [&](int token, int row) {
    float sum = 0.0f;
#pragma unroll
    for (int w = 0; w < kWarps; ++w) {
      sum += shared_sums[w * kWarpSums + token * C::kSumPitch + row];
    }
    return sum;
  };
#pragma unroll 1
  for (int i = static_cast<int>(threadIdx.x); i < C::kPass * args.tokens; i += kWarps * 32) {
    const int token = i / C::kPass;
    const int row = i % C::kPass;
    if (row < rows) {
      float value = sum_of(token, row);
      if constexpr (C::kGated) {
        value = activate<C::kActivation>(value) * sum_of(token, C::kPass + row);
      } else if (args.bias != nullptr) {
        value += args.bias[first + row];
      }
      store_y<C>(args, token, first + row, value);
    }
  }
  __syncthreads();  // the next pass writes there
}

template <typename C>
__global__ void __launch_bounds__(kWarps * 32) skinny_gemm_kernel(const Args args) {
  extern __shared__ __align__(128) unsigned char shared[];
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int stage_bytes = C::stage_bytes(args.tokens);
  unsigned char* ring = shared + warp * C::kStages * stage_bytes;
  auto* shared_sums = reinterpret_cast<float*>(shared + kWarps * C::kStages * stage_bytes);
  const std::uint64_t policy = read_once_policy();

  const Cursor<C> start(args, warp, lane);
  const unsigned to = static_cast<unsigned>(__cvta_generic_to_shared(ring)) +
                      start.lane_row * C::kRowBytes +
                      C::place_of(start.lane_row, start.lane_vector);
  Cursor<C> next = start;  // to be loaded
#pragma unroll 1
  for (int s = 0; s < C::kStages; ++s) {
    if (next.valid()) {
      load_weights(args, next, to + s * stage_bytes, policy);
      next.advance(args);
    }
    commit_copies();
  }
  prefetch_beyond(args, start);
  int to_issue = max(start.total() - C::kStages, 0);
  if (to_issue <= args.release_ahead) {
    release_dependents();
  }
  wait_for_predecessor();
  const auto* x = static_cast<const typename C::Element*>(args.x) + start.lane_row * args.x_stride +
                  start.lane_vector * 8;
  Cursor<C> x_next = start;
#pragma unroll 1
  for (int s = 0; s < C::kStages; ++s) {
    if (x_next.valid()) {
      load_x(args, x_next, to + s * stage_bytes, x);
      x_next.advance(args);
    }
    commit_copies();
  }

  Sums<C> sums;
  int slot = 0;  // byte offset of the stage in the ring
  for (int pass = 0; pass < start.passes; ++pass) {
    sums.clear();
    for (int step = 0; step < start.steps; ++step) {
      wait_for_copies<C::kStages - 1>();  // all but the last so many groups have come
      __syncwarp();
      Fragments<C> fragments;
      fragments.load(ring + slot, args.tokens, lane);
      __syncwarp();
      if (next.valid()) {
        load_weights(args, next, to + slot, policy);
        load_x(args, next, to + slot, x);
        next.advance(args);
        if (--to_issue == args.release_ahead) {
          release_dependents();
        }
      }
      commit_copies();
      slot = slot + stage_bytes == C::kStages * stage_bytes ? 0 : slot + stage_bytes;
      fragments.multiply(sums);
    }
    const int begin = start.count * pass / start.passes;
    const int end = start.count * (pass + 1) / start.passes;
    finish_pass<C>(args, sums, shared_sums, warp, lane, start.first + begin, end - begin);
  }
}

}  // namespace tutti::skinny
