// Percentiles of any number of durations in a fixed amount of memory.
#pragma once

#include <array>
#include <cstdint>

namespace tutti {

// Buckets 2 % apart from 0.1 ms to about a day: a percentile is right to 1 %.
class LatencyHistogram {
 public:
  void add(double seconds);
  std::uint64_t count() const { return count_; }
  double mean() const { return count_ == 0 ? 0 : sum_ / static_cast<double>(count_); }
  double most() const { return most_; }
  // By the nearest rank, `share` in (0, 1]; 0 where nothing was added.
  double percentile(double share) const;

 private:
  static constexpr int kBuckets = 1040;
  std::array<std::uint64_t, kBuckets> buckets_{};
  std::uint64_t count_ = 0;
  double sum_ = 0;
  double most_ = 0;
};

}  // namespace tutti
