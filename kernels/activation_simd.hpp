// Activations of a vector, for the bodies of multiversioned kernels.
#pragma once

#include <cmath>

#include "kernels/activation_kind.hpp"
#include "kernels/simd.hpp"

namespace tutti::simd {

template <int W, Activation kKind>
TUTTI_INLINE void activate(F32<W>& v) {
  using F = F32<W>;
  if constexpr (kKind == Activation::relu) {
    v = v < 0.0f ? F{} : v;
  } else if constexpr (kKind == Activation::gelu_erf) {
    float lane[W];
    store(lane, v);
    for (int i = 0; i < W; ++i) {  // erfc: 1 + erf loses its digits below 0
      lane[i] = 0.5f * lane[i] * std::erfc(lane[i] * -0.707106781f);
    }
    load(v, lane);
  } else {
    F e = -v;
    if constexpr (kKind == Activation::gelu_tanh) {
      e = v * (v * v * -0.0713548163f - 1.59576912f);
    }
    exp<W>(e);
    v = v / (1.0f + e);
  }
}

}  // namespace tutti::simd
