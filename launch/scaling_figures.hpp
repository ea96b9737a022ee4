// What follows from the rows of tutti bench scaling: efficiency, cost, and which is best. Pure.
#pragma once

#include <array>
#include <cstdint>

#include "launch/bench_scaling.hpp"

namespace tutti {

// Of repeats: the middle value and between which others they lay.
struct Interval {
  double value = 0;
  double least = 0;
  double most = 0;

  bool overlaps(const Interval& other) const { return least <= other.most && other.least <= most; }
};

// Tokens of answers per second; per token of one request, seconds; per million tokens of answers,
// in the price's unit. None where the row does not fit or did not measure it.
std::optional<Interval> speed_of(const ScalingRow& row);
std::optional<Interval> token_seconds_of(const ScalingRow& row);
std::optional<Interval> cost_of(const ScalingRow& row, const ScalingPrice& price);

std::optional<double> speed_per_gpu(const ScalingRow& row);
// Speed for each GPU, as a share of that of the fewest GPUs that were measured: 1 is a straight
// line.
std::optional<double> efficiency_of(const ScalingReport& report, const ScalingRow& row);
// Of a decode step, exchanges measured by themselves; at most 1.
std::optional<double> collective_share_of(const ScalingRow& row);
// Expected of all replicas together, beside speed_of and token_seconds_of.
std::optional<double> predicted_speed_of(const ScalingRow& row);
std::optional<double> predicted_token_seconds_of(const ScalingRow& row);

enum class ScalingGoal : std::uint8_t { throughput, latency, cost };
inline constexpr std::array kScalingGoals = {ScalingGoal::throughput, ScalingGoal::latency,
                                             ScalingGoal::cost};
std::string_view name_of(ScalingGoal goal);

struct Verdict {
  std::optional<std::size_t> best;  // the row; none where no row was measured for that
  bool certain = false;             // the repeats of no other row reach its own
  std::string text;                 // "4 ranks, 1234.5 tok/s", or why it cannot be told
};

Verdict verdict_on(const ScalingReport& report, ScalingGoal goal, const ScalingPrice& price);

// "GPU", or "rank" on the host.
std::string unit_of_work(const ScalingReport& report);

}  // namespace tutti
