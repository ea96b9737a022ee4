// Vectors of W lanes in the compilers' own extension, for the bodies of multiversioned kernels.
// Everything here is always inlined and passes vectors by reference, so that no call depends on the
// vector ABI of an instruction set.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "kernels/dtype.hpp"
#include "kernels/multiversion.hpp"

namespace tutti::simd {

template <int W>
struct Lanes {
  typedef float F32 __attribute__((vector_size(W * 4)));
  typedef std::int32_t I32 __attribute__((vector_size(W * 4)));
  typedef std::uint32_t U32 __attribute__((vector_size(W * 4)));
};

template <int W>
using F32 = typename Lanes<W>::F32;

template <typename V>
TUTTI_INLINE void load(V& v, const void* from) {
  std::memcpy(&v, from, sizeof(V));
}

template <typename V>
TUTTI_INLINE void store(void* to, const V& v) {
  std::memcpy(to, &v, sizeof(V));
}

// W 16-bit patterns as 32-bit lanes. A loop and not __builtin_convertvector, of which GCC 12 makes
// two halves and an insertion where one instruction would do.
template <int W>
TUTTI_INLINE void load_halves(typename Lanes<W>::U32& v, const std::uint16_t* from) {
  std::uint32_t lane[W];
  for (int i = 0; i < W; ++i) {
    lane[i] = from[i];
  }
  std::memcpy(&v, lane, sizeof v);
}

// W weights widened to f32, exactly.
template <int W>
TUTTI_INLINE void load_wide(F32<W>& v, const float* from) {
  load(v, from);
}

template <int W>
TUTTI_INLINE void load_wide(F32<W>& v, const bf16* from) {
  typename Lanes<W>::U32 bits;
  load_halves<W>(bits, &from->bits);
  bits <<= 16;
  std::memcpy(&v, &bits, sizeof v);
}

// As to_float(f16), but subnormals go by an exact subtraction (0.5 + m 2^-24 - 0.5), because f32
// subnormals as operands take a slow path in many processors and weights are full of them.
template <int W>
TUTTI_INLINE void load_wide(F32<W>& v, const f16* from) {
  using U32 = typename Lanes<W>::U32;
  using I32 = typename Lanes<W>::I32;
  U32 x;
  load_halves<W>(x, &from->bits);
  const U32 magnitude = x & 0x7fffu;
  const U32 small_bits = magnitude | 0x3f000000u;
  F32<W> small;
  std::memcpy(&small, &small_bits, sizeof small);
  small -= 0.5f;
  U32 subnormal;
  std::memcpy(&subnormal, &small, sizeof small);
  const U32 normal = (magnitude << 13) + 0x38000000u;
  const U32 special = (magnitude << 13) | 0x7f800000u;
  const I32 signed_magnitude = reinterpret_cast<const I32&>(magnitude);
  U32 bits = signed_magnitude < 0x400 ? subnormal : normal;
  bits = signed_magnitude >= 0x7c00 ? special : bits;
  bits |= (x & 0x8000u) << 16;
  std::memcpy(&v, &bits, sizeof v);
}

// The first n < W elements, zeros behind them: the tail of a row takes part in the same lanes.
template <int W, typename T>
TUTTI_INLINE void load_wide_tail(F32<W>& v, const T* from, std::int64_t n) {
  T padded[W] = {};
  std::memcpy(padded, from, static_cast<std::size_t>(n) * sizeof(T));
  load_wide<W>(v, padded);
}

// The sum of the lanes, by halves: the order is fixed.
template <int W>
TUTTI_INLINE float sum_lanes(const F32<W>& v) {
  float lane[W];
  std::memcpy(lane, &v, sizeof lane);
  for (int half = W / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) {
      lane[i] += lane[i + half];
    }
  }
  return lane[0];
}

// e^x within 2 ulp for -87 < x < 88; 0 below (so that -inf masks), e^88 above, NaN stays NaN.
// x = n ln 2 + r with |r| <= ln 2 / 2, e^r by its Taylor polynomial, 2^n by the exponent field.
template <int W>
TUTTI_INLINE void exp(F32<W>& v) {
  using F = F32<W>;
  using I32 = typename Lanes<W>::I32;
  const F x = v;
  F clamped = x < -87.0f ? F{} - 87.0f : x;
  clamped = clamped > 88.0f ? F{} + 88.0f : clamped;
  const F shifted = clamped * 1.44269504f + 12582912.0f;  // rounds to an integer in the low bits
  const F n = shifted - 12582912.0f;
  const F r = (clamped - n * 0.693359375f) + n * 2.12194440e-4f;
  F p = r * (1.0f / 5040) + (1.0f / 720);
  p = p * r + (1.0f / 120);
  p = p * r + (1.0f / 24);
  p = p * r + (1.0f / 6);
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  I32 exponent;
  std::memcpy(&exponent, &shifted, sizeof exponent);
  exponent = (exponent << 23) + (127 << 23);
  F power;
  std::memcpy(&power, &exponent, sizeof power);
  p *= power;
  v = x < -87.0f ? F{} : p;
}

// tanh within 3 ulp; +-1 where |x| is large, NaN stays NaN. Below 0.625 the minimax polynomial of
// Cephes (Moshier), since 1 - 2 / (e^2x + 1) loses its digits there.
template <int W>
TUTTI_INLINE void tanh(F32<W>& v) {
  using F = F32<W>;
  const F x = v;
  const F z = x * x;
  F p = z * -5.70498872745e-3f + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  p = p * z * x + x;
  F e = x < 0.0f ? x * -2.0f : x * 2.0f;
  exp<W>(e);
  F large = 1.0f - 2.0f / (e + 1.0f);
  large = x < 0.0f ? -large : large;
  v = z < 0.390625f ? p : large;
}

// low = a0 b0 a1 b1 …, high = the rest: both whole registers interleaved.
template <int W>
TUTTI_INLINE void interleave(const F32<W>& a, const F32<W>& b, F32<W>& low, F32<W>& high) {
  static_assert(W == 4 || W == 8 || W == 16);
  if constexpr (W == 4) {
    low = __builtin_shufflevector(a, b, 0, 4, 1, 5);
    high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
  } else if constexpr (W == 8) {
    low = __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
    high = __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
  } else {
    low = __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    high =
        __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  }
}

// The W x W matrix of the rows v[0..W), transposed: log2 W rounds of perfect shuffles.
template <int W>
TUTTI_INLINE void transpose(F32<W> (&v)[W]) {
  F32<W> next[W];
  for (int round = 1; round < W; round *= 2) {
    for (int i = 0; i < W / 2; ++i) {
      interleave<W>(v[i], v[i + W / 2], next[2 * i], next[2 * i + 1]);
    }
    for (int i = 0; i < W; ++i) {
      v[i] = next[i];
    }
  }
}

}  // namespace tutti::simd
