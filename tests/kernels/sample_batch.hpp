// Rows of logits with a rule each, as sample_rows takes them, on the host.
#pragma once

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
        seen(std::size_t(slots * words()), 0),
        ids(std::size_t(rows), -7),
        last(std::size_t(slots), -7) {
    for (float& logit : logits) {
      logit = 12 * logit * logit * logit;  // a few large ones, as a model has
    }
  }

  std::int64_t words() const { return (vocabulary + 31) / 32; }
  SampleRowsArgs args() {
    return {.logits = view_of(logits, {rows, vocabulary}),
            .rules = TensorView(rules.data(), DType::i32, Place::host, {rows, kSampleRuleWords}),
            .seen = view_of(seen, {slots, words()}),
            .ids = view_of(ids, {rows}),
            .last = view_of(last, {slots})};
  }
  std::vector<std::int32_t> seen_ids(std::int64_t slot) const {
    std::vector<std::int32_t> set;
    for (std::int32_t id = 0; id < vocabulary; ++id) {
      const std::int32_t word = seen[std::size_t(slot * words() + id / 32)];
      if ((static_cast<std::uint32_t>(word) >> (id % 32) & 1u) != 0) {
        set.push_back(id);
      }
    }
    return set;
  }

  std::int64_t rows, vocabulary, slots;
  std::vector<float> logits;
  std::vector<SampleRowRule> rules;
  std::vector<std::int32_t> seen, ids, last;
};

}  // namespace tutti::testing
