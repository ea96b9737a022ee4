#include "runtime/layers/rotary.hpp"

#include <cmath>
#include <numbers>

#include "kernels/error.hpp"

namespace tutti {
namespace {

float llama3(float frequency, const RopeScaling& scaling) {
  const auto context = static_cast<float>(scaling.original_context);
  const auto low = static_cast<float>(scaling.low_freq_factor);
  const auto high = static_cast<float>(scaling.high_freq_factor);
  const auto factor = static_cast<float>(scaling.factor);
  const float wavelength = 2 * std::numbers::pi_v<float> / frequency;
  if (wavelength > context / low) {
    return frequency / factor;
  }
  if (wavelength < context / high) {
    return frequency;
  }
  const float smooth = (context / wavelength - low) / (high - low);
  return (1 - smooth) * frequency / factor + smooth * frequency;
}

}  // namespace

std::vector<float> rotary_frequencies(int head_dim, double theta, const RopeScaling& scaling) {
  std::vector<float> frequencies;
  for (int i = 0; i < head_dim / 2; ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(head_dim);
    const float frequency = 1.0f / std::pow(static_cast<float>(theta), exponent);
    if (scaling.kind == "none") {
      frequencies.push_back(frequency);
    } else if (scaling.kind == "linear") {
      frequencies.push_back(frequency / static_cast<float>(scaling.factor));
    } else if (scaling.kind == "llama3") {
      frequencies.push_back(llama3(frequency, scaling));
    } else if (scaling.kind == "factors" && std::ssize(scaling.factors) == head_dim / 2) {
      frequencies.push_back(frequency /
                            static_cast<float>(scaling.factors[static_cast<std::size_t>(i)]));
    } else if (scaling.kind == "factors") {
      throw ConfigError("rotary scaling has " + std::to_string(scaling.factors.size()) +
                        " factors, heads of " + std::to_string(head_dim) + " want " +
                        std::to_string(head_dim / 2));
    } else {
      throw ConfigError("rotary scaling '" + scaling.kind +
                        "' is not known; known are none, linear, llama3, factors");
    }
  }
  return frequencies;
}

}  // namespace tutti
