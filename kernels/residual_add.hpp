// What a sublayer computed joins the residual stream: scaled, or normalised before.
#pragma once

#include "kernels/exec.hpp"

namespace tutti {

struct ResidualAddArgs {
  TensorView x;         // [tokens, dim] f32, on a device also f16 or bf16
  float scale = 1;      // Granite's residual multiplier
  TensorView residual;  // [tokens, dim] f32, updated
  TensorView y = {};    // [tokens, dim] of x's type, or empty: the residual, rounded; may be x
};

// residual[t,:] += scale * x[t,:];  y[t,:] = residual[t,:].
void residual_add(const Exec& exec, const ResidualAddArgs& args);

struct AddNormedArgs {
  TensorView x;            // [tokens, dim] f32, on a device also f16 or bf16: summed over the ranks
  TensorView post_weight;  // [dim] f32, of x's norm
  TensorView residual;     // [tokens, dim] f32, updated
  TensorView weight = {};  // [dim] f32, of the next sublayer's norm, or empty: it has none (OLMo 2)
  float eps = 1e-5f;       // of both
  TensorView y;            // [tokens, dim] of x's type; may be x
};

// residual[t,:] += rmsnorm(x[t,:], post_weight);  y[t,:] = rmsnorm(residual[t,:], weight), or the
// residual, rounded, where there is no weight (kernels/rmsnorm.hpp has the norm). Gemma 2 and 3.
void add_normed(const Exec& exec, const AddNormedArgs& args);

}  // namespace tutti
