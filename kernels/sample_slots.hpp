// What sequences bring along when they enter their slots: the tallies of the ids that stand in
// prompt and answer, and biases. sample_rows reads both and counts on by itself.
#pragma once

#include <cstdint>

#include "kernels/exec.hpp"
#include "kernels/sample_penalty.hpp"

namespace tutti {

// One sequence, as plain words that travel to a device as they are. Its pairs lie behind each
// other: (id, tally) of ids that differ, then (id, bits of the f32 bias).
struct SampleSlotEntry {
  std::int32_t slot = 0;
  std::int32_t first = 0;     // its pairs begin at pairs[first]
  std::int32_t tallies = -1;  // how many; the slot's other tallies become 0. -1: none is touched
  std::int32_t biases = 0;    // how many
};
inline constexpr std::int64_t kSampleSlotWords = sizeof(SampleSlotEntry) / 4;

struct SampleSlotsArgs {
  TensorView entries;  // [entries, kSampleSlotWords] i32: SampleSlotEntry, of different slots
  TensorView pairs;    // [pairs, 2] i32
  TensorView tallies;  // [slots, words] i32: as in SampleRowsArgs
  TensorView biases;   // [slots, kSampleMostBiases, 2] i32: as in SampleRowsArgs
};

// The host refuses entries that cannot be; a device does not look.
void sample_slots(const Exec& exec, const SampleSlotsArgs& args);

}  // namespace tutti
