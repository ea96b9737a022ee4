// Rotary frequencies with their scaling.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tutti {

// How rotary frequencies are stretched beyond the trained context.
struct RopeScaling {
  std::string kind = "none";  // "none", "linear", "llama3", "factors", "yarn", "longrope"
  double factor = 1;
  double low_freq_factor = 1;      // llama3
  double high_freq_factor = 4;     // llama3
  double original_context = 8192;  // llama3, yarn, longrope: tokens
  double beta_fast = 32;           // yarn: rotations within original_context
  double beta_slow = 1;            // yarn
  double attention_factor = 1;     // yarn, longrope: multiplies cos and sin
  std::vector<double> factors;     // factors, longrope: what each frequency is divided by, dim / 2
  std::vector<double> long_factors;  // longrope: the same beyond original_context

  friend bool operator==(const RopeScaling&, const RopeScaling&) = default;
};

// inv_freq[i] = theta^(-2i/dim), i < dim/2 (Su et al. 2021, sec. 3.2.2), divided by `factor` for
// linear scaling (Chen et al. 2023). llama3 (Llama 3.1 model card): wavelengths beyond
// original_context / low_freq_factor are divided by factor, those below original_context /
// high_freq_factor stay, between them the frequencies are interpolated. factors: as a GGUF
// file's rope_freqs tensor says. yarn (Peng et al. 2023, sec. 3.2): frequencies that turn more than
// beta_fast times within original_context stay, those that turn less than beta_slow times are
// divided by factor, between them a ramp. longrope (Ding et al. 2024): divided by long_factors
// where sequences may have more tokens than original_context, else by factors. Computed in f32 as
// the reference does. `dim` is the elements of a head that are rotated. Errors: ConfigError for an
// unknown kind or a wrong number of factors.
std::vector<float> rotary_frequencies(int dim, double theta, const RopeScaling& scaling,
                                      std::int64_t max_context = 0);

}  // namespace tutti
