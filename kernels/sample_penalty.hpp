// What a sequence remembers of each id, and what the penalties make of it. The host and devices
// share the arithmetic, so that they get the same bits.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/host_device.hpp"

namespace tutti {

// A tally says of one id of one sequence whether it stands in the prompt (bit 15) and how often in
// the answer (the other bits; more than they hold are not counted).
using Tally = std::uint16_t;
inline constexpr Tally kTallyPrompt = 0x8000;
inline constexpr Tally kTallyMostCounted = 0x7fff;

TUTTI_HOST_DEVICE constexpr int counted(Tally tally) {
  return tally & kTallyMostCounted;
}
TUTTI_HOST_DEVICE constexpr Tally counted_once_more(Tally tally) {
  return counted(tally) < kTallyMostCounted ? static_cast<Tally>(tally + 1) : tally;
}

// The logit of an id with a tally above 0. First the repetition penalty (Keskar et al. 2019,
// "CTRL", eq. 4.1, for either sign of the logit), then OpenAI's penalties of what was answered:
//   x = x > 0 ? x / repetition : x * repetition;  x -= frequency * count + presence * (count > 0)
// The fused forms are written out: left to the compilers, some would fuse and others would not.
TUTTI_HOST_DEVICE inline float penalised(float x, Tally tally, float repetition, float presence,
                                         float frequency) {
  const int count = counted(tally);
  const float less = count > 0 ? fmaf(frequency, static_cast<float>(count), presence) : 0.0f;
  return x > 0 ? x / repetition - less : fmaf(x, repetition, -less);
}

// Tallies of a vocabulary, a row for each slot: so many words of 32 bits, for loads of four ids.
TUTTI_HOST_DEVICE constexpr std::int64_t tally_words(std::int64_t vocabulary) {
  return (vocabulary + 3) / 4 * 2;
}

// Biases and bans that a slot holds at most: pairs of an id and the bits of an f32.
inline constexpr std::int64_t kSampleMostBiases = 512;  // OpenAI takes 300

}  // namespace tutti
