#include "launch/latency_histogram.hpp"

#include <algorithm>
#include <cmath>

namespace tutti {
namespace {

constexpr double kLeast = 1e-4;
constexpr double kStep = 1.02;

}  // namespace

void LatencyHistogram::add(double seconds) {
  const double place = std::log(std::max(seconds, kLeast) / kLeast) / std::log(kStep);
  const int bucket = std::clamp(static_cast<int>(place), 0, kBuckets - 1);
  ++buckets_[static_cast<std::size_t>(bucket)];
  ++count_;
  sum_ += seconds;
  most_ = std::max(most_, seconds);
}

double LatencyHistogram::percentile(double share) const {
  const auto rank =
      static_cast<std::uint64_t>(std::max(1.0, std::ceil(share * static_cast<double>(count_))));
  std::uint64_t passed = 0;
  for (int bucket = 0; bucket < kBuckets; ++bucket) {
    passed += buckets_[static_cast<std::size_t>(bucket)];
    if (count_ > 0 && passed >= rank) {
      return std::min(most_, kLeast * std::pow(kStep, bucket + 0.5));
    }
  }
  return 0;
}

}  // namespace tutti
