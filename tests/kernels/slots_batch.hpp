// Sequences that enter their slots, as sample_slots takes them, on the host.
#pragma once

#include <bit>
#include <utility>

#include "kernels/sample_slots.hpp"
#include "tests/kernels/kernel_fixture.hpp"

namespace tutti::testing {

struct SlotsBatch {
  using Tallies = std::vector<std::pair<std::int32_t, int>>;
  using Biases = std::vector<std::pair<std::int32_t, float>>;

  // Slots hold -1 everywhere.
  SlotsBatch(std::int64_t vocabulary, std::int64_t slots_in)
      : words(tally_words(vocabulary)),
        slots(slots_in),
        tallies(std::size_t(slots * words), -1),
        biases(std::size_t(slots * 2 * kSampleMostBiases), -1) {}

  void add(std::int32_t slot, const Tallies& tallied, const Biases& biased) {
    entries.push_back({.slot = slot,
                       .first = static_cast<std::int32_t>(pairs.size() / 2),
                       .tallies = static_cast<std::int32_t>(tallied.size()),
                       .biases = static_cast<std::int32_t>(biased.size())});
    for (const auto& [id, tally] : tallied) {
      pairs.insert(pairs.end(), {id, tally});
    }
    for (const auto& [id, bias] : biased) {
      pairs.insert(pairs.end(), {id, std::bit_cast<std::int32_t>(bias)});
    }
  }
  void add_biases_only(std::int32_t slot, const Biases& biased) {
    add(slot, {}, biased);
    entries.back().tallies = -1;
  }

  SampleSlotsArgs args() {
    return {.entries = TensorView(entries.data(), DType::i32, Place::host,
                                  {std::ssize(entries), kSampleSlotWords}),
            .pairs = view_of(pairs, {std::ssize(pairs) / 2, 2}),
            .tallies = view_of(tallies, {slots, words}),
            .biases = view_of(biases, {slots, kSampleMostBiases, 2})};
  }

  std::int64_t words, slots;
  std::vector<SampleSlotEntry> entries;
  std::vector<std::int32_t> pairs, tallies, biases;
};

}  // namespace tutti::testing
