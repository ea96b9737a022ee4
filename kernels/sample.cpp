#include "kernels/sample.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/check.hpp"
#include "kernels/philox.hpp"
#include "kernels/simd.hpp"

namespace tutti {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// *largest = max(logits); *bad is set where a NaN is among them.
struct LargestLogit {
  template <int W>
  static TUTTI_INLINE void run(const float* logits, std::int64_t n, float* largest, bool* bad) {
    using F = simd::F32<W>;
    typename simd::Lanes<W>::I32 nan = {};
    F top = F{} - kInfinity;
    F v;
    std::int64_t i = 0;
    for (; i + W <= n; i += W) {
      simd::load(v, logits + i);
      nan |= v != v;
      top = v > top ? v : top;
    }
    float best = -kInfinity;
    bool any_nan = false;
    for (; i < n; ++i) {
      any_nan |= std::isnan(logits[i]);
      best = std::max(best, logits[i]);
    }
    for (int lane = 0; lane < W; ++lane) {
      any_nan |= nan[lane] != 0;
      best = std::max(best, top[lane]);
    }
    *largest = best;
    *bad = any_nan;
  }
};

// weights[i] = exp((logits[i] - largest) / temperature): the largest is 1.
struct Weigh {
  template <int W>
  static TUTTI_INLINE void run(const float* logits, std::int64_t n, float largest,
                               float temperature, float* weights) {
    simd::F32<W> v;
    std::int64_t i = 0;
    for (; i + W <= n; i += W) {
      simd::load(v, logits + i);
      v = (v - largest) / temperature;
      simd::exp<W>(v);
      simd::store(weights + i, v);
    }
    if (i < n) {
      simd::load_wide_tail<W>(v, logits + i, n - i);
      v = (v - largest) / temperature;
      simd::exp<W>(v);
      float tail[W];
      simd::store(tail, v);
      std::copy_n(tail, n - i, weights + i);
    }
  }
};

// The k ids of largest logit, in order of logit, then id. One pass: a candidate must beat the k-th
// best of those seen when the buffer was last cut down.
std::vector<std::int32_t> largest_ids(const float* logits, std::int64_t n, std::int64_t k) {
  const auto before = [logits](std::int32_t a, std::int32_t b) {
    return logits[a] > logits[b] || (logits[a] == logits[b] && a < b);
  };
  k = std::min(k, n);
  const std::size_t kept = static_cast<std::size_t>(k);
  const std::size_t capacity = 2 * kept + 64;
  std::vector<std::int32_t> ids;
  ids.reserve(capacity);
  float threshold = -kInfinity;
  bool full = false;
  for (std::int64_t id = 0; id < n; ++id) {
    if (full && !(logits[id] > threshold)) {
      continue;
    }
    ids.push_back(static_cast<std::int32_t>(id));
    if (ids.size() == capacity) {
      std::nth_element(ids.begin(), ids.begin() + (k - 1), ids.end(), before);
      ids.resize(kept);
      threshold = logits[ids[kept - 1]];
      full = true;
    }
  }
  const auto end = ids.begin() + std::min(k, static_cast<std::int64_t>(ids.size()));
  std::partial_sort(ids.begin(), end, ids.end(), before);
  ids.erase(end, ids.end());
  return ids;
}

double sum_of(const std::vector<float>& weights) {
  double total = 0;
  for (float weight : weights) {
    total += weight;
  }
  return total;
}

// How many of the first ids are needed for their weights to reach `mass`; one more than there are
// if they do not.
std::size_t count_to_reach(const std::vector<std::int32_t>& ids, const std::vector<float>& weights,
                           double mass) {
  double sum = 0;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    sum += weights[static_cast<std::size_t>(ids[i])];
    if (sum >= mass) {
      return i + 1;
    }
  }
  return ids.size() + 1;
}

// The ids that top-k and top-p leave, ordered by logit; empty: all of them.
std::vector<std::int32_t> filter(const float* logits, const std::vector<float>& weights,
                                 const SampleRule& rule) {
  const auto n = static_cast<std::int64_t>(weights.size());
  std::vector<std::int32_t> ids;
  const bool top_k = rule.top_k > 0 && rule.top_k < n;
  if (top_k) {
    ids = largest_ids(logits, n, rule.top_k);
  }
  if (rule.top_p >= 1) {
    return ids;
  }
  if (top_k) {
    double total = 0;
    for (std::int32_t id : ids) {
      total += weights[static_cast<std::size_t>(id)];
    }
    ids.resize(std::min(ids.size(), count_to_reach(ids, weights, rule.top_p * total)));
    return ids;
  }
  const double mass = rule.top_p * sum_of(weights);
  for (std::int64_t k = 256;; k *= 8) {  // usually a few hundred ids hold the mass
    ids = largest_ids(logits, n, k);
    const std::size_t count = count_to_reach(ids, weights, mass);
    if (count <= ids.size() || k >= n) {
      ids.resize(std::min(count, ids.size()));
      return ids;
    }
  }
}

// The first kept id, in order of id, at which the running sum exceeds u times the whole.
std::int32_t draw(std::vector<std::int32_t> ids, const std::vector<float>& weights, float min_p,
                  double u) {
  if (ids.empty()) {
    ids.resize(weights.size());
    for (std::size_t i = 0; i < ids.size(); ++i) {
      ids[i] = static_cast<std::int32_t>(i);
    }
  } else {
    std::sort(ids.begin(), ids.end());
  }
  const auto weight_of = [&](std::int32_t id) {
    const float weight = weights[static_cast<std::size_t>(id)];
    return weight >= min_p ? static_cast<double>(weight) : 0.0;
  };
  double total = 0;
  for (std::int32_t id : ids) {
    total += weight_of(id);
  }
  double sum = 0;
  std::int32_t last = ids.front();
  for (std::int32_t id : ids) {
    const double weight = weight_of(id);
    if (weight > 0) {
      sum += weight;
      last = id;
      if (sum > u * total) {
        break;
      }
    }
  }
  return last;
}

void check_rule(const SampleRule& rule) {
  constexpr const char* op = "sample";
  check_that(rule.temperature >= 0 && rule.temperature < kInfinity, op,
             "temperature is {}, wanted a finite number of at least 0", rule.temperature);
  check_that(rule.top_k >= 0, op, "top_k is {}, wanted at least 0 (0: all)", rule.top_k);
  check_that(rule.top_p >= 0 && rule.top_p <= 1, op, "top_p is {}, wanted a number in [0, 1]",
             rule.top_p);
  check_that(rule.min_p >= 0 && rule.min_p <= 1, op, "min_p is {}, wanted a number in [0, 1]",
             rule.min_p);
}

[[noreturn]] void throw_bad_logit(const float* logits, std::int64_t n) {
  std::int64_t id = 0;
  while (id + 1 < n && !std::isnan(logits[id]) && logits[id] != kInfinity) {
    ++id;
  }
  throw Error(fmt::format(
      "sample: the logit of token {} is {}, wanted a number below infinity (at least one above "
      "-infinity); the model's weights or its activations have overflowed",
      id, logits[id]));
}

}  // namespace

double uniform_draw(std::uint64_t seed, std::uint64_t request, std::uint64_t position) {
  const auto low = [](std::uint64_t x) { return static_cast<std::uint32_t>(x); };
  const auto high = [](std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); };
  const PhiloxCounter bits = philox_4x32_10(
      {low(position), high(position), low(request), high(request)}, {low(seed), high(seed)});
  const std::uint64_t mantissa = (std::uint64_t{bits[0]} << 21) ^ (bits[1] >> 11);
  return static_cast<double>(mantissa) * 0x1p-53;
}

std::int32_t sample(const Exec& exec, const TensorView& logits, const SampleRule& rule) {
  check_that(exec.place == Place::host, "sample",
             "takes a row on the host; a device samples by sample_rows");
  check_view(exec, "sample", "logits", logits, DType::f32, {kAnyExtent});
  check_that(!logits.empty() && logits.row_stride == 1, "sample",
             "logits are {} with elements {} apart, wanted a dense row of at least one",
             describe(logits), logits.row_stride);
  check_rule(rule);
  const auto* row = static_cast<const float*>(logits.data);
  const std::int64_t n = logits.rows();
  float largest = 0;
  bool nan = false;
  multiversion<LargestLogit>(row, n, &largest, &nan);
  if (nan || std::abs(largest) == kInfinity) {
    throw_bad_logit(row, n);
  }
  if (rule.temperature == 0 || rule.top_k == 1) {
    return static_cast<std::int32_t>(std::find(row, row + n, largest) - row);
  }
  std::vector<float> weights(static_cast<std::size_t>(n));
  multiversion<Weigh>(row, n, largest, rule.temperature, weights.data());
  return draw(filter(row, weights, rule), weights, rule.min_p,
              uniform_draw(rule.seed, rule.request, rule.position));
}

}  // namespace tutti
