// Logits as some models bound and scale them.
#pragma once

#include "kernels/exec.hpp"

namespace tutti {

struct SoftCapArgs {
  TensorView x;     // [rows, columns] f32, on a device also f16 or bf16; updated
  float scale = 1;  // 1 / logits_scaling of Granite
  float cap = 0;    // Gemma 2's final_logit_softcapping; 0: none
};

// x[r,c] = cap * tanh(scale * x[r,c] / cap), or scale * x[r,c] without a cap.
void soft_cap(const Exec& exec, const SoftCapArgs& args);

}  // namespace tutti
