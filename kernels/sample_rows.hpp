// A token for each of many rows of logits at once, with biases and penalties: what a device samples
// with.
#pragma once

#include <cstdint>

#include "kernels/exec.hpp"
#include "kernels/sample.hpp"
#include "kernels/sample_penalty.hpp"

namespace tutti {

// How one row is sampled, as plain 32-bit words that travel to a device as they are. Applied in
// this order: biases, penalties (sample_penalty.hpp), bans, then what SampleRule says. (OpenAI and
// vLLM add biases before they penalise, too.)
struct alignas(8) SampleRowRule {
  std::uint64_t seed = 0;
  std::uint64_t request = 0;
  std::uint64_t position = 0;
  float temperature = 1;
  float top_p = 1;
  float min_p = 0;
  float repetition_penalty = 1;  // of ids in prompt or answer
  float presence_penalty = 0;    // of ids in the answer
  float frequency_penalty = 0;   // the same, for each time
  std::int32_t top_k = 0;
  std::int32_t slot = 0;  // of the sequence: its row of `tallies` and `biases`, its place in `last`
  std::int32_t biases = 0;  // the slot's first so many pairs are added to the logits
  std::int32_t bans = 0;    // the next so many are added after the penalties: their biases are
                            // -infinity, which penalties do not change

  // Whether the slot's tallies matter.
  TUTTI_HOST_DEVICE constexpr bool penalises() const {
    return repetition_penalty != 1 || presence_penalty != 0 || frequency_penalty != 0;
  }
};
inline constexpr std::int64_t kSampleRuleWords = sizeof(SampleRowRule) / 4;

// A device adds up probabilities in whole numbers of 64 bits, which hold so many.
inline constexpr std::int64_t kSampleMostIds = 500'000;

struct SampleRowsArgs {
  TensorView logits;   // [rows, vocabulary] f32; biases and penalties change it
  TensorView rules;    // [rows, kSampleRuleWords] i32: SampleRowRule; 8-byte aligned rows
  TensorView tallies;  // [slots, tally_words(vocabulary)] i32, 8-byte aligned rows: a Tally of 16
                       // bits for each id, read where the rule penalises; the sampled id is then
                       // counted once more
  TensorView biases;   // [slots, kSampleMostBiases, 2] i32: pairs of an id and the bits of an f32;
                       // the ids of the biases differ, and so do those of the bans
  TensorView ids;      // [rows] i32: the sampled ids; -1 where a logit is NaN or infinite above, or
                       // all are -infinity: then nothing is counted
  TensorView last;     // [slots] i32: last[slot] = the sampled id
};

// Row by row what `sample` does after biases, penalties and bans; a slot below 0 marks
// a row that pads the batch: nothing of it is read, its id is 0 and nothing else is written. Rows
// of one call have different slots. The host refuses rules that `sample` refuses and biases that
// cannot be; a device takes a temperature below 0 for 0 and looks at nothing else. The device's
// answer is the host's, but for draws (and cuts by top-p and min-p) that fall within the rounding
// of e^x, about 2^-21 of the whole, from a border between two ids: its sums are exact, so that they
// depend on no order.
void sample_rows(const Exec& exec, const SampleRowsArgs& args);

}  // namespace tutti
