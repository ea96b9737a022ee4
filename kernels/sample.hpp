// One token from one row of logits. The draw is a pure function of (seed, request, position): who
// shares the batch, which rank runs it and when do not matter.
#pragma once

#include <cstdint>

#include "kernels/exec.hpp"

namespace tutti {

// How a row is sampled. Applied in this order: temperature, top-k, top-p, min-p, draw.
struct SampleRule {
  float temperature = 1;  // 0: the largest logit, the smallest id among equals
  int top_k = 0;          // keep the k largest; 0: all
  float top_p = 1;        // keep the smallest set of largest probabilities that reaches top_p
  float min_p = 0;        // keep probabilities of at least min_p times the largest
  std::uint64_t seed = 0;
  std::uint64_t request = 0;
  std::uint64_t position = 0;
};

// A uniform number in [0, 1) from a counter-based generator (Philox 4x32-10, Salmon et al. 2011).
double uniform_draw(std::uint64_t seed, std::uint64_t request, std::uint64_t position);

// logits [vocabulary] f32 at exec.place. Ties in probability are ordered by id, and the draw walks
// the kept ids in order of id. ConfigError for a rule that cannot be; Error that names the token
// where a logit is NaN or infinite above (or all are -infinity).
std::int32_t sample(const Exec& exec, const TensorView& logits, const SampleRule& rule);

}  // namespace tutti
