// What repeats of a measurement say.
#pragma once

#include <vector>

namespace tutti {

struct Summary {
  double mean = 0;
  double p50 = 0;
  double p99 = 0;
  double least = 0;
  double most = 0;

  // (most - least) / mean; 0 for none.
  double spread() const { return mean != 0 ? (most - least) / mean : 0; }
};

// Percentiles by the nearest rank: p99 of fewer than 100 values is the largest. All zero for none.
Summary summarize(std::vector<double> values);

}  // namespace tutti
