#include "launch/statistics.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace tutti {

Summary summarize(std::vector<double> values) {
  if (values.empty()) {
    return {};
  }
  std::sort(values.begin(), values.end());
  const auto count = static_cast<double>(values.size());
  const auto percentile = [&](double share) {
    const auto rank = static_cast<std::size_t>(std::max(1.0, std::ceil(share * count)));
    return values[rank - 1];
  };
  return {.mean = std::accumulate(values.begin(), values.end(), 0.0) / count,
          .p50 = percentile(0.50),
          .p99 = percentile(0.99),
          .least = values.front(),
          .most = values.back()};
}

}  // namespace tutti
