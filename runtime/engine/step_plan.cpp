#include "runtime/engine/step_plan.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "kernels/error.hpp"
#include "kernels/sample_slots.hpp"

namespace tutti {
namespace {

template <typename Plan>
auto arrays_of(Plan& plan) {
  return std::array{&plan.token_ids,   &plan.positions,      &plan.sources,     &plan.slots,
                    &plan.query_begin, &plan.context_length, &plan.block_table, &plan.logit_rows,
                    &plan.rules,       &plan.slot_entries,   &plan.slot_pairs};
}

// Whether every entry's pairs are there.
bool entries_are_sound(const StepPlan& plan) {
  constexpr auto kWords = static_cast<std::size_t>(kSampleSlotWords);
  bool sound = plan.slot_entries.size() % kWords == 0 && plan.slot_pairs.size() % 2 == 0;
  for (std::size_t at = 0; at < plan.slot_entries.size() && sound; at += kWords) {
    SampleSlotEntry entry;
    std::memcpy(static_cast<void*>(&entry), &plan.slot_entries[at], sizeof entry);
    const std::int64_t end = std::int64_t{entry.first} + std::max(entry.tallies, 0) + entry.biases;
    sound = entry.slot >= 0 && entry.first >= 0 && entry.biases >= 0 &&
            entry.biases <= kSampleMostBiases && 2 * end <= std::ssize(plan.slot_pairs);
  }
  return sound;
}

}  // namespace

std::int32_t StepPlan::most_queries() const {
  std::int32_t most = 0;
  for (std::size_t s = 0; s + 1 < query_begin.size(); ++s) {
    most = std::max(most, query_begin[s + 1] - query_begin[s]);
  }
  return most;
}

std::int32_t StepPlan::most_context() const {
  return context_length.empty() ? 0
                                : *std::max_element(context_length.begin(), context_length.end());
}

// Layout: max_blocks, the length of each array, then the arrays; all i32.
std::vector<std::byte> StepPlan::to_bytes() const {
  std::vector<std::int32_t> words{max_blocks};
  for (const auto* array : arrays_of(*this)) {
    words.push_back(static_cast<std::int32_t>(array->size()));
  }
  for (const auto* array : arrays_of(*this)) {
    words.insert(words.end(), array->begin(), array->end());
  }
  std::vector<std::byte> bytes(words.size() * sizeof(std::int32_t));
  std::memcpy(bytes.data(), words.data(), bytes.size());
  return bytes;
}

StepPlan StepPlan::from_bytes(std::span<const std::byte> bytes) {
  StepPlan plan;
  const auto arrays = arrays_of(plan);
  const std::size_t header = 1 + arrays.size();
  std::size_t total = header;
  bool sound =
      bytes.size() % sizeof(std::int32_t) == 0 && bytes.size() / sizeof(std::int32_t) >= header;
  std::vector<std::int32_t> words(sound ? bytes.size() / sizeof(std::int32_t) : 0);
  if (sound) {
    std::memcpy(words.data(), bytes.data(), bytes.size());
  }
  for (std::size_t i = 1; i < header && sound; ++i) {
    sound = words[i] >= 0;
    total += static_cast<std::size_t>(words[i]);
  }
  if (!sound || total != words.size()) {
    throw CommError("a step plan arrived with " + std::to_string(bytes.size()) +
                    " bytes, which its header does not describe");
  }
  plan.max_blocks = words[0];
  auto from = words.begin() + static_cast<std::ptrdiff_t>(header);
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    const auto to = from + words[1 + i];
    arrays[i]->assign(from, to);
    from = to;
  }
  if (!entries_are_sound(plan)) {
    throw CommError("a step plan arrived whose slot entries name pairs that are not there");
  }
  return plan;
}

}  // namespace tutti
