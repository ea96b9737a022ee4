// Root-mean-square normalisation (Zhang & Sennrich 2019, eq. 4), alone and behind a residual add.
#pragma once

#include "kernels/exec.hpp"

namespace tutti {

struct RmsnormArgs {
  TensorView x;       // [tokens, dim] f32
  TensorView weight;  // [dim] f32
  float eps = 1e-5f;
  TensorView
      y;  // [tokens, dim] f32, on a device also f16 or bf16; may be x where x's type is its own
};

// y[t,:] = x[t,:] * weight[:] / sqrt(mean(x[t,:]^2) + eps).
void rmsnorm(const Exec& exec, const RmsnormArgs& args);

struct AddRmsnormArgs {
  TensorView x;         // [tokens, dim] of y's type, what the last sublayer computed
  TensorView residual;  // [tokens, dim] f32, updated: residual += x
  TensorView weight;    // [dim] f32
  float eps = 1e-5f;
  TensorView y;  // [tokens, dim] f32, on a device also f16 or bf16; may be x, never residual
};

// residual[t,:] += x[t,:];  y[t,:] = rmsnorm(residual[t,:]).
void add_rmsnorm(const Exec& exec, const AddRmsnormArgs& args);

}  // namespace tutti
