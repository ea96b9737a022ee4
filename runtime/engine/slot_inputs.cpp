#include "runtime/engine/slot_inputs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "kernels/error.hpp"
#include "kernels/sample_slots.hpp"

namespace tutti {
namespace {

constexpr std::size_t kEntryBytes = sizeof(SampleSlotEntry);
constexpr std::size_t kPairBytes = 2 * sizeof(std::int32_t);

std::int64_t pairs_of(const SampleSlotEntry& entry) {
  return std::int64_t{std::max(entry.tallies, 0)} + entry.biases;
}

// Sequences whose entries and pairs are put into one piece of staging memory.
class Load {
 public:
  Load(std::byte* to, std::int64_t most_entries, std::int64_t most_pairs)
      : to_(to), most_entries_(most_entries), most_pairs_(most_pairs) {}

  bool has_room(const SampleSlotEntry& entry) const {
    return entries_ < most_entries_ && pairs_ + pairs_of(entry) <= most_pairs_;
  }
  void add(SampleSlotEntry entry, const std::vector<std::int32_t>& pairs) {
    const std::size_t bytes = kPairBytes * static_cast<std::size_t>(pairs_of(entry));
    if (bytes > 0) {
      std::memcpy(pairs_at(pairs_), &pairs[2 * static_cast<std::size_t>(entry.first)], bytes);
    }
    entry.first = static_cast<std::int32_t>(pairs_);
    std::memcpy(to_ + kEntryBytes * static_cast<std::size_t>(entries_), &entry, kEntryBytes);
    pairs_ += pairs_of(entry);
    ++entries_;
  }
  std::int64_t entries() const { return entries_; }
  std::int64_t pairs() const { return pairs_; }

 private:
  std::byte* pairs_at(std::int64_t pair) const {
    return to_ + kEntryBytes * static_cast<std::size_t>(most_entries_) +
           kPairBytes * static_cast<std::size_t>(pair);
  }

  std::byte* to_;
  std::int64_t most_entries_, most_pairs_;
  std::int64_t entries_ = 0, pairs_ = 0;
};

}  // namespace

SlotInputs::SlotInputs(Device& device, std::int64_t slots, std::int64_t ids)
    : place_(device.place()),
      entries_(slots),
      pairs_(ids + kSampleMostBiases),
      memory_(device,
              kEntryBytes * static_cast<std::size_t>(entries_) +
                  kPairBytes * static_cast<std::size_t>(pairs_),
              "what sequences bring along") {}

void SlotInputs::upload(const StepPlan& plan, const Enter& enter) {
  const std::int64_t count = std::ssize(plan.slot_entries) / kSampleSlotWords;
  for (std::int64_t next = 0; next < count;) {
    Load load(memory_.next(), entries_, pairs_);
    for (; next < count; ++next) {
      SampleSlotEntry entry;
      std::memcpy(static_cast<void*>(&entry), plan.slot_entries.data() + next * kSampleSlotWords,
                  sizeof entry);
      if (pairs_of(entry) > pairs_) {
        throw ConfigError(
            fmt::format("a sequence brings {} ids and biases along, the model was "
                        "built for {}",
                        pairs_of(entry), pairs_));
      }
      if (!load.has_room(entry)) {
        break;
      }
      load.add(entry, plan.slot_pairs);
    }
    std::byte* pairs = memory_.data() + kEntryBytes * static_cast<std::size_t>(entries_);
    memory_.send(static_cast<std::size_t>(pairs - memory_.data()) +
                 kPairBytes * static_cast<std::size_t>(load.pairs()));
    enter(TensorView(memory_.data(), DType::i32, place_, {load.entries(), kSampleSlotWords}),
          TensorView(pairs, DType::i32, place_, {load.pairs(), 2}));
  }
}

}  // namespace tutti
