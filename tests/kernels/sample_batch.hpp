// Rows of logits with a rule each, as sample_rows takes them, on the host.
#pragma once

#include <bit>
#include <limits>
#include <utility>

#include "kernels/sample_rows.hpp"
#include "tests/kernels/kernel_fixture.hpp"

namespace tutti::testing {

inline SampleRule rule_of(const SampleRowRule& rule) {
  return {.temperature = rule.temperature,
          .top_k = rule.top_k,
          .top_p = rule.top_p,
          .min_p = rule.min_p,
          .seed = rule.seed,
          .request = rule.request,
          .position = rule.position};
}

struct SampleBatch {
  SampleBatch(std::int64_t rows_in, std::int64_t vocabulary_in, std::int64_t slots_in)
      : rows(rows_in),
        vocabulary(vocabulary_in),
        slots(slots_in),
        logits(random_floats(rows * vocabulary, 17)),
        rules(std::size_t(rows)),
        tallies(std::size_t(slots * words()), 0),
        biases(std::size_t(slots * 2 * kSampleMostBiases), -1),
        ids(std::size_t(rows), -7),
        last(std::size_t(slots), -7) {
    for (float& logit : logits) {
      logit = 12 * logit * logit * logit;  // a few large ones, as a model has
    }
  }

  std::int64_t words() const { return tally_words(vocabulary); }
  SampleRowsArgs args() {
    return {.logits = view_of(logits, {rows, vocabulary}),
            .rules = TensorView(rules.data(), DType::i32, Place::host, {rows, kSampleRuleWords}),
            .tallies = view_of(tallies, {slots, words()}),
            .biases = view_of(biases, {slots, kSampleMostBiases, 2}),
            .ids = view_of(ids, {rows}),
            .last = view_of(last, {slots})};
  }
  Tally tally(std::int64_t slot, std::int64_t id) const {
    const auto word = static_cast<std::uint32_t>(tallies[std::size_t(slot * words() + id / 2)]);
    return static_cast<Tally>(word >> (id % 2 * 16));
  }
  void set_tally(std::int64_t slot, std::int64_t id, Tally tally_in) {
    auto& word = tallies[std::size_t(slot * words() + id / 2)];
    const std::uint32_t kept = static_cast<std::uint32_t>(word) & (0xffff0000u >> (id % 2 * 16));
    word = static_cast<std::int32_t>(kept | std::uint32_t{tally_in} << (id % 2 * 16));
  }
  // (id, tally) of the ids that have one.
  std::vector<std::pair<std::int32_t, int>> tallied(std::int64_t slot) const {
    std::vector<std::pair<std::int32_t, int>> set;
    for (std::int32_t id = 0; id < vocabulary; ++id) {
      if (tally(slot, id) != 0) {
        set.emplace_back(id, tally(slot, id));
      }
    }
    return set;
  }
  // The slot's list, the biases before the bans.
  void set_biases(std::int64_t slot, const std::vector<std::pair<std::int32_t, float>>& list,
                  const std::vector<std::int32_t>& bans = {}) {
    auto* to = &biases[std::size_t(slot * 2 * kSampleMostBiases)];
    for (const auto& [id, bias] : list) {
      *to++ = id;
      *to++ = std::bit_cast<std::int32_t>(bias);
    }
    for (const std::int32_t id : bans) {
      *to++ = id;
      *to++ = std::bit_cast<std::int32_t>(-std::numeric_limits<float>::infinity());
    }
  }

  std::int64_t rows, vocabulary, slots;
  std::vector<float> logits;
  std::vector<SampleRowRule> rules;
  std::vector<std::int32_t> tallies, biases, ids, last;
};

}  // namespace tutti::testing
