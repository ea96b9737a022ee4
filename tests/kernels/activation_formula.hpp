// The activations in double precision.
#pragma once

#include <cmath>
#include <initializer_list>

#include "kernels/activation_kind.hpp"

namespace tutti::testing {

inline constexpr std::initializer_list<Activation> kActivations = {
    Activation::silu, Activation::gelu_tanh, Activation::gelu_erf, Activation::relu};

inline double activated(Activation kind, double x) {
  switch (kind) {
    case Activation::silu:
      return x / (1 + std::exp(-x));
    case Activation::gelu_tanh: {
      const double u = std::sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x);
      return x / (1 + std::exp(-2 * u));
    }
    case Activation::gelu_erf:
      return 0.5 * x * std::erfc(-x / std::sqrt(2.0));
    default:
      return x > 0 ? x : 0;
  }
}

// What f32 makes of it: an exponential of 2 ulp, a sum, a quotient, and where the argument y of the
// exponential is itself rounded three times, 3 y 2^-24 of the result, y up to 1.6 |x| + 0.08 |x|^3
// and below 88, behind which the result is 0 to 1e-33.
inline double activation_tolerance(Activation kind, double x, double wanted) {
  const double y = kind == Activation::silu || kind == Activation::relu
                       ? 0
                       : std::fmin(1.6 * std::fabs(x) + 0.08 * std::fabs(x * x * x) + x * x, 100);
  return (8 + 4 * y) * 0x1p-24 * std::fabs(wanted) + 1e-33;
}

}  // namespace tutti::testing
