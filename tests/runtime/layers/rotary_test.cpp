#include "runtime/layers/rotary.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "kernels/error.hpp"

namespace tutti {
namespace {

TEST(Rotary, PlainFrequenciesFallGeometrically) {
  const std::vector<float> plain = rotary_frequencies(8, 10000, {});
  ASSERT_EQ(plain.size(), 4u);
  for (int i = 0; i < 4; ++i) {
    EXPECT_NEAR(plain[static_cast<std::size_t>(i)], std::pow(10000.0, -i / 4.0), 1e-7);
  }
}

TEST(Rotary, LinearScalingDividesAll) {
  const std::vector<float> plain = rotary_frequencies(8, 10000, {});
  const std::vector<float> scaled = rotary_frequencies(8, 10000, {.kind = "linear", .factor = 4});
  for (std::size_t i = 0; i < plain.size(); ++i) {
    EXPECT_FLOAT_EQ(scaled[i], plain[i] / 4);
  }
}

// The three regions of Llama 3.1's scaling, by wavelength.
TEST(Rotary, Llama3KeepsShortWavesStretchesLongOnesAndBlendsBetween) {
  const RopeScaling scaling{.kind = "llama3",
                            .factor = 8,
                            .low_freq_factor = 1,
                            .high_freq_factor = 4,
                            .original_context = 8192};
  const std::vector<float> plain = rotary_frequencies(128, 500000, {});
  const std::vector<float> scaled = rotary_frequencies(128, 500000, scaling);
  int kept = 0;
  int stretched = 0;
  int blended = 0;
  for (std::size_t i = 0; i < plain.size(); ++i) {
    const double wavelength = 2 * std::numbers::pi / plain[i];
    if (wavelength < 8192.0 / 4) {
      EXPECT_EQ(scaled[i], plain[i]);
      ++kept;
    } else if (wavelength > 8192.0) {
      EXPECT_FLOAT_EQ(scaled[i], plain[i] / 8);
      ++stretched;
    } else {
      EXPECT_LT(scaled[i], plain[i]);
      EXPECT_GT(scaled[i], plain[i] / 8);
      ++blended;
    }
  }
  EXPECT_GT(kept, 0);
  EXPECT_GT(stretched, 0);
  EXPECT_GT(blended, 0);
}

TEST(Rotary, FactorsDivideEachFrequency) {
  const std::vector<float> plain = rotary_frequencies(4, 10000, {});
  const std::vector<float> scaled =
      rotary_frequencies(4, 10000, {.kind = "factors", .factors = {1, 32}});
  EXPECT_EQ(scaled[0], plain[0]);
  EXPECT_FLOAT_EQ(scaled[1], plain[1] / 32);
  EXPECT_THROW(rotary_frequencies(4, 10000, {.kind = "factors", .factors = {1}}), ConfigError);
}

TEST(Rotary, RefusesAnUnknownKindByName) {
  EXPECT_THROW(rotary_frequencies(8, 10000, {.kind = "ntk"}), ConfigError);
}

}  // namespace
}  // namespace tutti
