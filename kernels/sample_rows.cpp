#include "kernels/sample_rows.hpp"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/check.hpp"
#include "kernels/device_ops.hpp"

namespace tutti {
namespace {

void penalise(float* logits, std::int64_t n, const Tally* tallies, const SampleRowRule& rule) {
  for (std::int64_t id = 0; id < n; ++id) {
    if (tallies[id] != 0) {
      logits[id] = penalised(logits[id], tallies[id], rule.repetition_penalty,
                             rule.presence_penalty, rule.frequency_penalty);
    }
  }
}

void add_biases(float* logits, std::int64_t n, const std::int32_t* pairs, std::int64_t count) {
  for (const std::int32_t* pair = pairs; pair < pairs + 2 * count; pair += 2) {
    check_that(pair[0] >= 0 && pair[0] < n, "sample_rows", "a bias is for id {}, wanted below {}",
               pair[0], n);
    logits[pair[0]] += std::bit_cast<float>(pair[1]);
  }
}

// Whether `sample` can draw from the row.
bool is_distribution(const float* logits, std::int64_t n) {
  float largest = -std::numeric_limits<float>::infinity();
  bool nan = false;
  for (std::int64_t id = 0; id < n; ++id) {
    nan |= std::isnan(logits[id]);
    largest = logits[id] > largest ? logits[id] : largest;
  }
  return !nan && std::isfinite(largest);
}

std::int32_t sample_row(const Exec& exec, const SampleRowsArgs& args, std::int64_t row,
                        const SampleRowRule& rule) {
  const std::int64_t vocabulary = args.logits.shape[1];
  auto* logits = args.logits.row<float>(row);
  auto* tallies = reinterpret_cast<Tally*>(args.tallies.row<std::int32_t>(rule.slot));
  const auto* biases = args.biases.row<std::int32_t>(rule.slot);
  add_biases(logits, vocabulary, biases, rule.biases);
  if (rule.penalises()) {
    penalise(logits, vocabulary, tallies, rule);
  }
  add_biases(logits, vocabulary, biases + 2 * rule.biases, rule.bans);
  std::int32_t id = -1;
  if (is_distribution(logits, vocabulary)) {
    id = sample(exec, TensorView(logits, DType::f32, Place::host, {vocabulary}),
                {.temperature = rule.temperature,
                 .top_k = rule.top_k,
                 .top_p = rule.top_p,
                 .min_p = rule.min_p,
                 .seed = rule.seed,
                 .request = rule.request,
                 .position = rule.position});
    if (rule.penalises()) {
      tallies[id] = counted_once_more(tallies[id]);
    }
  }
  *args.last.row<std::int32_t>(rule.slot) = id;
  return id;
}

void check_sample_rows(const Exec& exec, const SampleRowsArgs& args) {
  constexpr const char* op = "sample_rows";
  check_view(exec, op, "logits", args.logits, DType::f32, {kAnyExtent, kAnyExtent});
  const std::int64_t rows = args.logits.shape[0];
  const std::int64_t vocabulary = args.logits.shape[1];
  check_that(vocabulary >= 1 && vocabulary <= kSampleMostIds, op,
             "the vocabulary has {} ids, wanted 1 to {}", vocabulary, kSampleMostIds);
  check_view(exec, op, "rules", args.rules, DType::i32, {rows, kSampleRuleWords});
  check_that(reinterpret_cast<std::uintptr_t>(args.rules.data) % alignof(SampleRowRule) == 0 &&
                 args.rules.row_stride % 2 == 0,
             op, "rules lie at odd words, wanted rows that start at multiples of 8 bytes");
  check_view(exec, op, "tallies", args.tallies, DType::i32, {kAnyExtent, tally_words(vocabulary)});
  check_that(reinterpret_cast<std::uintptr_t>(args.tallies.data) % 8 == 0 &&
                 args.tallies.row_stride % 2 == 0,
             op, "tallies lie at odd words, wanted rows that start at multiples of 8 bytes");
  const std::int64_t slots = args.tallies.shape[0];
  check_view(exec, op, "biases", args.biases, DType::i32, {slots, kSampleMostBiases, 2});
  check_that(reinterpret_cast<std::uintptr_t>(args.biases.data) % 8 == 0 &&
                 args.biases.row_stride % 2 == 0,
             op, "biases lie at odd words, wanted pairs that start at multiples of 8 bytes");
  check_view(exec, op, "ids", args.ids, DType::i32, {rows});
  check_view(exec, op, "last", args.last, DType::i32, {slots});
}

// What the host looks at besides.
void check_row(std::int64_t row, const SampleRowRule& rule, std::int64_t slots) {
  constexpr const char* op = "sample_rows";
  check_that(rule.slot < slots, op, "row {} has slot {}, wanted below {}", row, rule.slot, slots);
  check_that(rule.biases >= 0 && rule.bans >= 0 &&
                 std::int64_t{rule.biases} + rule.bans <= kSampleMostBiases,
             op, "row {} has {} biases and {} bans, wanted up to {} together", row, rule.biases,
             rule.bans, kSampleMostBiases);
}

}  // namespace

void sample_rows(const Exec& exec, const SampleRowsArgs& args) {
  check_sample_rows(exec, args);
  if (on_device(exec, "sample_rows")) {
    return exec.ops->sample_rows(exec, args);
  }
  for (std::int64_t row = 0; row < args.logits.rows(); ++row) {
    SampleRowRule rule;
    std::memcpy(static_cast<void*>(&rule), args.rules.row<std::int32_t>(row), sizeof rule);
    if (rule.slot >= 0) {
      check_row(row, rule, args.tallies.rows());
    }
    *args.ids.row<std::int32_t>(row) = rule.slot < 0 ? 0 : sample_row(exec, args, row, rule);
  }
}

}  // namespace tutti
