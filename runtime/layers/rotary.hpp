// Rotary frequencies with their scaling.
#pragma once

#include <string>
#include <vector>

namespace tutti {

// How rotary frequencies are stretched beyond the trained context.
struct RopeScaling {
  std::string kind = "none";  // "none", "linear", "llama3", "factors"
  double factor = 1;
  double low_freq_factor = 1;      // llama3
  double high_freq_factor = 4;     // llama3
  double original_context = 8192;  // llama3
  std::vector<double> factors;     // factors: what each frequency is divided by, head_dim / 2

  friend bool operator==(const RopeScaling&, const RopeScaling&) = default;
};

// inv_freq[i] = theta^(-2i/d), i < d/2 (Su et al. 2021, sec. 3.2.2), divided by `factor` for linear
// scaling (Chen et al. 2023). llama3 (Llama 3.1 model card): wavelengths beyond
// original_context / low_freq_factor are divided by factor, those below original_context /
// high_freq_factor stay, between them the frequencies are interpolated. factors: as a GGUF
// file's rope_freqs tensor says. Computed in f32 as the reference does. Errors: ConfigError for an
// unknown kind or a wrong number of factors.
std::vector<float> rotary_frequencies(int head_dim, double theta, const RopeScaling& scaling);

}  // namespace tutti
