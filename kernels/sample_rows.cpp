#include "kernels/sample_rows.hpp"

#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/check.hpp"
#include "kernels/device_ops.hpp"

namespace tutti {
namespace {

void penalise(float* logits, std::int64_t n, const std::uint32_t* seen, float penalty) {
  for (std::int64_t id = 0; id < n; ++id) {
    if ((seen[id / 32] >> (id % 32) & 1u) != 0) {
      logits[id] = logits[id] > 0 ? logits[id] / penalty : logits[id] * penalty;
    }
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
  auto* seen = args.seen.row<std::uint32_t>(rule.slot);
  if (rule.repetition_penalty != 1) {
    penalise(logits, vocabulary, seen, rule.repetition_penalty);
  }
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
    seen[id / 32] |= 1u << (id % 32);
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
  check_view(exec, op, "seen", args.seen, DType::i32, {kAnyExtent, (vocabulary + 31) / 32});
  check_view(exec, op, "ids", args.ids, DType::i32, {rows});
  check_view(exec, op, "last", args.last, DType::i32, {args.seen.shape[0]});
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
    check_that(rule.slot < args.seen.rows(), "sample_rows", "row {} has slot {}, wanted below {}",
               row, rule.slot, args.seen.rows());
    *args.ids.row<std::int32_t>(row) = rule.slot < 0 ? 0 : sample_row(exec, args, row, rule);
  }
}

}  // namespace tutti
