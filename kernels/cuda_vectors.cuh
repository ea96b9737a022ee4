// Eight elements at a time: loads and stores of 16 bytes, where addresses allow them, and sums of a
// block's threads in a fixed order.
#pragma once

#include <initializer_list>

#include "kernels/cuda_types.cuh"
#include "kernels/tensor_view.hpp"

namespace tutti {

inline constexpr int kLanes = 8;  // elements of one vector

// Whether rows can be walked by vectors: 16-byte aligned starts and whole vectors. For dtypes of 16
// bits a vector is one access, for f32 two.
inline bool takes_vectors(std::initializer_list<TensorView> views) {
  for (const TensorView& view : views) {
    const auto bytes = static_cast<std::int64_t>(size_of(view.dtype));
    const auto address = reinterpret_cast<std::uintptr_t>(view.data);
    if (address % 16 != 0 || view.row_elements() % kLanes != 0 ||
        (view.rows() > 1 && view.row_stride * bytes % 16 != 0)) {
      return false;
    }
  }
  return true;
}

// Plain loads, not those of the read-only path: what a kernel before this one is still writing
// when this one starts may be read after wait_for_predecessor() only by plain loads.
__device__ inline void load8(const float* from, float (&v)[kLanes]) {
  const float4 a = *reinterpret_cast<const float4*>(from);
  const float4 b = *reinterpret_cast<const float4*>(from + 4);
  v[0] = a.x, v[1] = a.y, v[2] = a.z, v[3] = a.w;
  v[4] = b.x, v[5] = b.y, v[6] = b.z, v[7] = b.w;
}

template <typename T>
__device__ inline void load8(const T* from, float (&v)[kLanes]) {
  static_assert(sizeof(T) == 2);
  const uint4 bits = *reinterpret_cast<const uint4*>(from);
  T x[kLanes];
  memcpy(x, &bits, sizeof x);
#pragma unroll
  for (int i = 0; i < kLanes; ++i) {
    v[i] = widen(x[i]);
  }
}

// What other blocks of this kernel wrote, which this multiprocessor's own cache need not know.
__device__ inline void load8_of_others(const float* from, float (&v)[kLanes]) {
  const float4 a = __ldcg(reinterpret_cast<const float4*>(from));
  const float4 b = __ldcg(reinterpret_cast<const float4*>(from) + 1);
  v[0] = a.x, v[1] = a.y, v[2] = a.z, v[3] = a.w;
  v[4] = b.x, v[5] = b.y, v[6] = b.z, v[7] = b.w;
}

__device__ inline void store8(float* to, const float (&v)[kLanes]) {
  *reinterpret_cast<float4*>(to) = make_float4(v[0], v[1], v[2], v[3]);
  *reinterpret_cast<float4*>(to + 4) = make_float4(v[4], v[5], v[6], v[7]);
}

template <typename T>
__device__ inline void store8(T* to, const float (&v)[kLanes]) {
  static_assert(sizeof(T) == 2);
  T y[kLanes];
#pragma unroll
  for (int i = 0; i < kLanes; ++i) {
    y[i] = narrow<T>(v[i]);
  }
  uint4 bits;
  memcpy(&bits, y, sizeof y);
  *reinterpret_cast<uint4*>(to) = bits;
}

// kStep elements of a row as they lie in memory: words, since an array of 16-bit elements would
// take a register each while they are under way.
template <typename T, int kStep>
struct Piece {
  uint4 words[kStep * sizeof(T) / 16];

  __device__ static Piece streamed(const T* from) {  // weights: read once
    Piece piece;
#pragma unroll
    for (int i = 0; i < static_cast<int>(sizeof(Piece) / sizeof(uint4)); ++i) {
      piece.words[i] = load_streaming(reinterpret_cast<const uint4*>(from) + i);
    }
    return piece;
  }
  __device__ static Piece plain(const T* from) {  // activations, see load8
    Piece piece;
#pragma unroll
    for (int i = 0; i < static_cast<int>(sizeof(Piece) / sizeof(uint4)); ++i) {
      piece.words[i] = reinterpret_cast<const uint4*>(from)[i];
    }
    return piece;
  }
  __device__ void widen_to(float (&v)[kStep]) const {
    T x[kStep];
    memcpy(x, words, sizeof x);
#pragma unroll
    for (int e = 0; e < kStep; ++e) {
      v[e] = widen(x[e]);
    }
  }
};

template <typename T>
struct Piece<T, 1> {
  T value;

  __device__ static Piece streamed(const T* from) { return {*from}; }
  __device__ static Piece plain(const T* from) { return {*from}; }
  __device__ void widen_to(float (&v)[1]) const { v[0] = widen(value); }
};

// The sum over all threads of the block, in every thread; blockDim.x is a multiple of 32. One use
// of `shared` a kernel, or a __syncthreads() between two.
__device__ inline float block_sum(float value, float (&shared)[32]) {
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) {
    value += __shfl_xor_sync(0xffffffffu, value, offset);
  }
  const int warps = static_cast<int>(blockDim.x) / 32;
  if (threadIdx.x % 32 == 0) {
    shared[threadIdx.x / 32] = value;
  }
  __syncthreads();
  value = static_cast<int>(threadIdx.x % 32) < warps ? shared[threadIdx.x % 32] : 0.0f;
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) {
    value += __shfl_xor_sync(0xffffffffu, value, offset);
  }
  return value;
}

}  // namespace tutti
