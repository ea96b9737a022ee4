#include "launch/scaling_figures.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace tutti {
namespace {

using Numbers = std::vector<std::optional<Interval>>;

Numbers numbers_of(const ScalingReport& report, ScalingGoal goal, const ScalingPrice& price) {
  Numbers numbers;
  for (const ScalingRow& row : report.rows) {
    numbers.push_back(goal == ScalingGoal::throughput ? speed_of(row)
                      : goal == ScalingGoal::latency  ? token_seconds_of(row)
                                                      : cost_of(row, price));
  }
  return numbers;
}

std::string text_of(const Interval& number, ScalingGoal goal, const ScalingPrice& price) {
  switch (goal) {
    case ScalingGoal::throughput:
      return fmt::format("{:.1f} tok/s ({:.1f} to {:.1f})", number.value, number.least,
                         number.most);
    case ScalingGoal::latency:
      return fmt::format("{:.3f} ms ({:.3f} to {:.3f})", 1e3 * number.value, 1e3 * number.least,
                         1e3 * number.most);
    case ScalingGoal::cost:
      return fmt::format("{:.4g}{}{} ({:.4g} to {:.4g}) for a million tokens", number.value,
                         price.unit.empty() ? "" : " ", price.unit, number.least, number.most);
  }
  return {};
}

// The best of all but `without`.
std::optional<std::size_t> best_of(const Numbers& numbers, ScalingGoal goal,
                                   std::optional<std::size_t> without) {
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (!numbers[i] || i == without) {
      continue;
    }
    const bool better =
        !best || (goal == ScalingGoal::throughput ? numbers[i]->value > numbers[*best]->value
                                                  : numbers[i]->value < numbers[*best]->value);
    best = better ? i : best;
  }
  return best;
}

std::string ranks_text(const ScalingRow& row) {
  return fmt::format("{} rank{}", row.shape.name(), row.shape.all_ranks() == 1 ? "" : "s");
}

// The other row whose repeats reach those of `best`: the best of them.
std::optional<std::size_t> rival_of(Numbers numbers, std::size_t best, ScalingGoal goal) {
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (numbers[i] && !numbers[i]->overlaps(*numbers[best])) {
      numbers[i].reset();
    }
  }
  return best_of(numbers, goal, best);
}

}  // namespace

std::optional<Interval> speed_of(const ScalingRow& row) {
  if (!row.fits() || row.output_speed.least <= 0) {
    return std::nullopt;
  }
  const Summary& speed = row.output_speed;
  return Interval{.value = speed.mean, .least = speed.least, .most = speed.most};
}

std::optional<Interval> token_seconds_of(const ScalingRow& row) {
  if (!row.fits() || !row.latency || row.latency->between_tokens.p50 <= 0) {
    return std::nullopt;
  }
  return Interval{.value = row.latency->between_tokens.p50,
                  .least = row.latency->median_between.least,
                  .most = row.latency->median_between.most};
}

std::optional<Interval> cost_of(const ScalingRow& row, const ScalingPrice& price) {
  const std::optional<Interval> speed = speed_of(row);
  if (!speed) {
    return std::nullopt;
  }
  const auto cost = [&](double tokens_per_second) {
    constexpr double kSecondsPerHour = 3600;
    return price.per_gpu_hour * row.shape.all_ranks() * 1e6 / (tokens_per_second * kSecondsPerHour);
  };
  return Interval{
      .value = cost(speed->value), .least = cost(speed->most), .most = cost(speed->least)};
}

std::optional<double> speed_per_gpu(const ScalingRow& row) {
  const std::optional<Interval> speed = speed_of(row);
  return speed ? std::optional(speed->value / row.shape.all_ranks()) : std::nullopt;
}

std::optional<double> efficiency_of(const ScalingReport& report, const ScalingRow& row) {
  const ScalingRow* fewest = nullptr;
  for (const ScalingRow& one : report.rows) {
    if (speed_of(one) && (fewest == nullptr || one.shape.all_ranks() < fewest->shape.all_ranks())) {
      fewest = &one;
    }
  }
  const std::optional<double> own = speed_per_gpu(row);
  return own && fewest != nullptr ? std::optional(*own / *speed_per_gpu(*fewest)) : std::nullopt;
}

std::optional<double> collective_share_of(const ScalingRow& row) {
  const std::optional<Interval> token = token_seconds_of(row);
  return token ? std::optional(std::min(1.0, row.latency->collective_seconds / token->value))
               : std::nullopt;
}

std::optional<double> predicted_speed_of(const ScalingRow& row) {
  return row.predicted && row.predicted->output_speed
             ? std::optional(*row.predicted->output_speed * row.shape.replicas)
             : std::nullopt;
}

std::optional<double> predicted_token_seconds_of(const ScalingRow& row) {
  return row.predicted && row.shape.replicas == 1 ? row.predicted->seconds_per_token : std::nullopt;
}

std::string_view name_of(ScalingGoal goal) {
  constexpr std::array<std::string_view, 3> kNames = {"throughput", "latency", "cost"};
  return kNames[static_cast<std::size_t>(goal)];
}

Verdict verdict_on(const ScalingReport& report, ScalingGoal goal, const ScalingPrice& price) {
  const Numbers numbers = numbers_of(report, goal, price);
  const std::optional<std::size_t> best = best_of(numbers, goal, std::nullopt);
  if (!best) {
    return {.best = std::nullopt, .certain = false, .text = "nothing was measured"};
  }
  const ScalingRow& row = report.rows[*best];
  const std::string own =
      fmt::format("{}, {}", ranks_text(row), text_of(*numbers[*best], goal, price));
  if (!best_of(numbers, goal, best)) {
    return {.best = best, .certain = false, .text = "no verdict on one row: " + own};
  }
  if (row.speeds.size() < 2) {
    return {.best = best,
            .certain = false,
            .text = "no verdict on one repeat, which has no spread: " + own};
  }
  if (const std::optional<std::size_t> rival = rival_of(numbers, *best, goal)) {
    return {.best = best,
            .certain = false,
            .text = fmt::format("no verdict, the repeats overlap: {}; {}, {}", own,
                                ranks_text(report.rows[*rival]),
                                text_of(*numbers[*rival], goal, price))};
  }
  return {.best = best, .certain = true, .text = own};
}

std::string unit_of_work(const ScalingReport& report) {
  return report.on_gpus() ? "GPU" : "rank";
}

}  // namespace tutti
