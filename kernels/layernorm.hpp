// Layer normalisation (Ba, Kiros & Hinton 2016, eq. 4), alone and behind a residual add.
#pragma once

#include "kernels/exec.hpp"

namespace tutti {

struct LayernormArgs {
  TensorView x;          // [tokens, dim] f32
  TensorView weight;     // [dim] f32
  TensorView bias = {};  // [dim] f32, or empty
  float eps = 1e-5f;
  TensorView y;  // [tokens, dim] f32, on a device also f16 or bf16; may be x where of its type
};

// y[t,:] = (x[t,:] - m) * weight[:] / sqrt(v + eps) + bias[:] with m the mean of x[t,:] and v the
// mean of (x[t,:] - m)^2, which is summed by itself.
void layernorm(const Exec& exec, const LayernormArgs& args);

struct AddLayernormArgs {
  TensorView x;          // [tokens, dim] of y's type, what the last sublayer computed
  TensorView residual;   // [tokens, dim] f32, updated: residual += x
  TensorView weight;     // [dim] f32
  TensorView bias = {};  // [dim] f32, or empty
  float eps = 1e-5f;
  TensorView y;  // [tokens, dim] f32, on a device also f16 or bf16; may be x, never residual
};

// residual[t,:] += x[t,:];  y[t,:] = layernorm(residual[t,:]).
void add_layernorm(const Exec& exec, const AddLayernormArgs& args);

}  // namespace tutti
