// A token for each of many rows of logits at once, with penalties: what a device samples with.
#pragma once

#include <cstdint>

#include "kernels/exec.hpp"
#include "kernels/sample.hpp"

namespace tutti {

// How one row is sampled, as plain 32-bit words that travel to a device as they are.
struct alignas(8) SampleRowRule {
  std::uint64_t seed = 0;
  std::uint64_t request = 0;
  std::uint64_t position = 0;
  float temperature = 1;
  float top_p = 1;
  float min_p = 0;
  float repetition_penalty = 1;  // logits of ids seen: x / p where x > 0, else x * p
  std::int32_t top_k = 0;
  std::int32_t slot = 0;  // of the sequence: its row of `seen` and its place in `last`
};
inline constexpr std::int64_t kSampleRuleWords = sizeof(SampleRowRule) / 4;

// A device adds up probabilities in whole numbers of 64 bits, which hold so many.
inline constexpr std::int64_t kSampleMostIds = 500'000;

struct SampleRowsArgs {
  TensorView logits;  // [rows, vocabulary] f32; penalties change it
  TensorView rules;   // [rows, kSampleRuleWords] i32: SampleRowRule; 8-byte aligned rows
  TensorView seen;  // [slots, ceil(vocabulary / 32)] i32: bit v % 32 of word v / 32 says that id v
                    // stands in the prompt or the answer; the sampled id's bit is set
  TensorView ids;   // [rows] i32: the sampled ids; -1 where a logit is NaN or infinite above, or
                    // all are -infinity: then no bit of `seen` is set
  TensorView last;  // [slots] i32: last[slot] = the sampled id
};

// Row by row what `sample` does after the repetition penalty of its seen ids; a slot below 0 marks
// a row that pads the batch: nothing of it is read, its id is 0 and nothing else is written. Rows
// of one call have different slots. The host refuses rules that `sample` refuses; a device takes a
// temperature below 0 for 0 and looks at nothing else. The device's answer is the host's, but for
// draws (and cuts by top-p and min-p) that fall within the rounding of e^x, about 2^-21 of the
// whole, from a border between two ids: its sums are exact, so that they depend on no order.
void sample_rows(const Exec& exec, const SampleRowsArgs& args);

}  // namespace tutti
