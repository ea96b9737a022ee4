// Activations on a device, in f32.
#pragma once

#include "kernels/activation_kind.hpp"

namespace tutti {

template <Activation kKind>
__device__ inline float activate(float x) {
  if constexpr (kKind == Activation::relu) {
    return x < 0.0f ? 0.0f : x;
  } else if constexpr (kKind == Activation::gelu_erf) {
    return 0.5f * x * erfcf(x * -0.707106781f);
  } else if constexpr (kKind == Activation::gelu_tanh) {
    return x / (1.0f + expf(x * (x * x * -0.0713548163f - 1.59576912f)));
  } else {
    return x / (1.0f + expf(-x));
  }
}

}  // namespace tutti
