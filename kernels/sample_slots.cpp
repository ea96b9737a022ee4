#include "kernels/sample_slots.hpp"

#include <algorithm>
#include <cstring>

#include "kernels/check.hpp"
#include "kernels/device_ops.hpp"

namespace tutti {
namespace {

constexpr const char* kOp = "sample_slots";

void check_sample_slots(const Exec& exec, const SampleSlotsArgs& args) {
  check_view(exec, kOp, "entries", args.entries, DType::i32, {kAnyExtent, kSampleSlotWords});
  check_view(exec, kOp, "pairs", args.pairs, DType::i32, {kAnyExtent, 2});
  check_view(exec, kOp, "tallies", args.tallies, DType::i32, {kAnyExtent, kAnyExtent});
  check_view(exec, kOp, "biases", args.biases, DType::i32,
             {args.tallies.shape[0], kSampleMostBiases, 2});
  check_that(args.pairs.contiguous() && args.entries.contiguous(), kOp,
             "entries and pairs lie in pieces, wanted dense ones");
  check_that(reinterpret_cast<std::uintptr_t>(args.entries.data) % 16 == 0, kOp,
             "entries lie at {}, wanted a multiple of 16 bytes", args.entries.data);
  for (const TensorView* view : {&args.pairs, &args.tallies, &args.biases}) {
    check_that(reinterpret_cast<std::uintptr_t>(view->data) % 8 == 0 && view->row_stride % 2 == 0,
               kOp, "{} lies at odd words, wanted rows that start at multiples of 8 bytes",
               describe(*view));
  }
}

void check_entry(const SampleSlotEntry& entry, const SampleSlotsArgs& args) {
  const std::int64_t count = std::int64_t{std::max(entry.tallies, 0)} + entry.biases;
  check_that(entry.slot >= 0 && entry.slot < args.tallies.rows(), kOp,
             "an entry is for slot {}, wanted below {}", entry.slot, args.tallies.rows());
  check_that(entry.biases >= 0 && entry.biases <= kSampleMostBiases, kOp,
             "an entry has {} biases, wanted up to {}", entry.biases, kSampleMostBiases);
  check_that(entry.first >= 0 && entry.first + count <= args.pairs.rows(), kOp,
             "an entry has pairs {} to {}, wanted up to {}", entry.first, entry.first + count,
             args.pairs.rows());
}

void enter(const SampleSlotEntry& entry, const SampleSlotsArgs& args) {
  const auto* pair = args.pairs.row<std::int32_t>(entry.first);
  if (entry.tallies >= 0) {
    auto* words = args.tallies.row<std::int32_t>(entry.slot);
    const std::int64_t ids = 2 * args.tallies.shape[1];
    std::fill_n(words, args.tallies.shape[1], 0);
    for (std::int32_t i = 0; i < entry.tallies; ++i, pair += 2) {
      check_that(pair[0] >= 0 && pair[0] < ids, kOp, "a tally is for id {}, wanted below {}",
                 pair[0], ids);
      reinterpret_cast<Tally*>(words)[pair[0]] = static_cast<Tally>(pair[1]);
    }
  }
  std::copy_n(pair, 2 * entry.biases, args.biases.row<std::int32_t>(entry.slot));
}

}  // namespace

void sample_slots(const Exec& exec, const SampleSlotsArgs& args) {
  check_sample_slots(exec, args);
  if (on_device(exec, kOp)) {
    return exec.ops->sample_slots(exec, args);
  }
  for (std::int64_t i = 0; i < args.entries.rows(); ++i) {
    SampleSlotEntry entry;
    std::memcpy(static_cast<void*>(&entry), args.entries.row<std::int32_t>(i), sizeof entry);
    check_entry(entry, args);
    enter(entry, args);
  }
}

}  // namespace tutti
