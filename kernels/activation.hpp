// The nonlinearity of a feed-forward layer without a gate.
#pragma once

#include "kernels/activation_kind.hpp"
#include "kernels/exec.hpp"

namespace tutti {

struct ActivationArgs {
  TensorView x;  // [tokens, columns] f32, on a device also f16 or bf16; updated
  Activation kind = Activation::gelu_tanh;
};

// x[t,c] = kind(x[t,c]), computed in f32.
void activation(const Exec& exec, const ActivationArgs& args);

}  // namespace tutti
