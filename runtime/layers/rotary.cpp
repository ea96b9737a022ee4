#include "runtime/layers/rotary.hpp"

#include <fmt/format.h>

#include <algorithm>
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

// The index at which a frequency turns `rotations` times within the original context.
double yarn_index(double rotations, int dim, double theta, double context) {
  return dim * std::log(context / (rotations * 2 * std::numbers::pi)) / (2 * std::log(theta));
}

float yarn(int i, int dim, double theta, float power, const RopeScaling& scaling) {
  const double context = scaling.original_context;
  const auto low = static_cast<float>(
      std::max(std::floor(yarn_index(scaling.beta_fast, dim, theta, context)), 0.0));
  auto high = static_cast<float>(
      std::min(std::ceil(yarn_index(scaling.beta_slow, dim, theta, context)), dim - 1.0));
  high += low == high ? 0.001f : 0;
  const float ramp = std::clamp((static_cast<float>(i) - low) / (high - low), 0.0f, 1.0f);
  const float kept = 1 - ramp;
  const float divided = 1.0f / (static_cast<float>(scaling.factor) * power);
  return divided * (1 - kept) + 1.0f / power * kept;
}

// What each frequency is divided by, as the scaling lists it.
const std::vector<double>& listed_factors(const RopeScaling& scaling, int dim,
                                          std::int64_t max_context) {
  const bool beyond =
      scaling.kind == "longrope" && static_cast<double>(max_context) > scaling.original_context;
  const std::vector<double>& factors = beyond ? scaling.long_factors : scaling.factors;
  if (std::ssize(factors) != dim / 2) {
    throw ConfigError(
        fmt::format("rotary scaling has {} factors, a rotation of {} elements wants {}",
                    factors.size(), dim, dim / 2));
  }
  return factors;
}

}  // namespace

std::vector<float> rotary_frequencies(int dim, double theta, const RopeScaling& scaling,
                                      std::int64_t max_context) {
  std::vector<float> frequencies;
  for (int i = 0; i < dim / 2; ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(dim);
    const float power = std::pow(static_cast<float>(theta), exponent);
    const float frequency = 1.0f / power;
    if (scaling.kind == "none") {
      frequencies.push_back(frequency);
    } else if (scaling.kind == "linear") {
      frequencies.push_back(frequency / static_cast<float>(scaling.factor));
    } else if (scaling.kind == "llama3") {
      frequencies.push_back(llama3(frequency, scaling));
    } else if (scaling.kind == "yarn") {
      frequencies.push_back(yarn(i, dim, theta, power, scaling));
    } else if (scaling.kind == "factors" || scaling.kind == "longrope") {
      const auto& factors = listed_factors(scaling, dim, max_context);
      frequencies.push_back(frequency / static_cast<float>(factors[static_cast<std::size_t>(i)]));
    } else {
      throw ConfigError(
          fmt::format("rotary scaling '{}' is not known; known are none, linear, llama3, factors, "
                      "yarn, longrope",
                      scaling.kind));
    }
  }
  return frequencies;
}

}  // namespace tutti
