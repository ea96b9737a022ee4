// The nonlinearities of feed-forward layers.
#pragma once

#include <cstdint>
#include <type_traits>

namespace tutti {

enum class Activation : std::uint8_t {
  silu,       // x / (1 + exp(-x))
  gelu_tanh,  // x / (1 + exp(-2u)), u = sqrt(2 / pi) (x + 0.044715 x^3): 0.5 x (1 + tanh u)
  gelu_erf,   // 0.5 x (1 + erf(x / sqrt(2)))
  relu        // max(x, 0)
};

// Calls use(kind) with a std::integral_constant.
template <typename Use>
void with_activation(Activation activation, const Use& use) {
  switch (activation) {
    case Activation::silu:
      return use(std::integral_constant<Activation, Activation::silu>{});
    case Activation::gelu_tanh:
      return use(std::integral_constant<Activation, Activation::gelu_tanh>{});
    case Activation::gelu_erf:
      return use(std::integral_constant<Activation, Activation::gelu_erf>{});
    case Activation::relu:
      return use(std::integral_constant<Activation, Activation::relu>{});
  }
}

}  // namespace tutti
