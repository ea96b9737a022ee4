// The table of tutti bench scaling, and the text that has it.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "launch/progress.hpp"
#include "launch/scaling_figures.hpp"
#include "launch/scaling_report.hpp"

namespace tutti {
namespace {

constexpr std::string_view kUnknown = "–";

std::string number_or_dash(std::optional<double> number, int digits) {
  return number ? fmt::format("{:.{}f}", *number, digits) : std::string(kUnknown);
}

std::string percent_or_dash(std::optional<double> share) {
  return share ? fmt::format("{:.1f}%", 100 * *share) : std::string(kUnknown);
}

std::optional<double> value_of(const std::optional<Interval>& interval) {
  return interval ? std::optional(interval->value) : std::nullopt;
}

// By goal: what stands behind the number of the best row.
std::string mark_of(const Verdict& verdict, std::size_t row) {
  return verdict.best != row ? " " : verdict.certain ? "*" : "?";
}

std::optional<double> error_of(std::optional<double> predicted, std::optional<double> measured) {
  return predicted && measured && *measured > 0 ? std::optional(*predicted / *measured - 1)
                                                : std::nullopt;
}

std::string predicted_text(std::optional<double> predicted, std::optional<double> measured,
                           double scale, int digits) {
  if (!predicted) {
    return std::string(kUnknown);
  }
  const std::optional<double> error = error_of(predicted, measured);
  return fmt::format("{:.{}f}{}", scale * *predicted, digits,
                     error ? fmt::format(" ({:+.0f}%)", 100 * *error) : "");
}

std::optional<double> milliseconds(const std::optional<Interval>& seconds) {
  return seconds ? std::optional(1e3 * seconds->value) : std::nullopt;
}

std::string workload_text(const ScalingOptions& options) {
  const ThroughputOptions& work = options.throughput;
  const std::string lengths = work.workload.empty()
                                  ? fmt::format("{} requests of {} + {} tokens", work.requests,
                                                work.input_tokens, work.output_tokens)
                                  : fmt::format("requests of {}", work.workload.string());
  return fmt::format(
      "throughput of {}, at most {} running; latency of {} request{}, {} + {} tokens; {} repeat{} "
      "after one, seed {}",
      lengths, work.max_running, options.latency.batch, options.latency.batch == 1 ? "" : "s",
      options.latency.prompt_tokens, options.latency.new_tokens, work.repeats,
      work.repeats == 1 ? "" : "s", work.seed);
}

std::vector<std::string> notes_of(const ScalingReport& report, const ScalingOptions& options) {
  std::vector<std::string> notes;
  for (const ScalingRow& row : report.rows) {
    if (!row.fits()) {
      notes.push_back(fmt::format("{} does not fit: {}", row.shape.name(), row.why_not));
    }
  }
  for (const ScalingGoal goal : kScalingGoals) {
    notes.push_back(fmt::format("best for {}: {}", name_of(goal),
                                verdict_on(report, goal, options.price).text));
  }
  return notes;
}

// The width that a terminal gives to UTF-8 without wide characters.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

}  // namespace

std::vector<std::string> scaling_heading(const ScalingReport& report,
                                         const ScalingOptions& options) {
  std::set<std::string> devices(report.devices.begin(), report.devices.end());
  devices.erase("");
  const std::set<std::string> hosts(report.hosts.begin(), report.hosts.end());
  return {fmt::format("{}: {}, {} parameters, {}, fingerprint {}", report.model.name,
                      report.architecture, human_count(report.model.parameters), report.model.dtype,
                      short_fingerprint(report.model.fingerprint)),
          fmt::format(
              "{} rank{} on {}: {}", report.hosts.size(), report.hosts.size() == 1 ? "" : "s",
              fmt::join(hosts, ", "),
              devices.empty() ? "nothing was loaded" : fmt::format("{}", fmt::join(devices, ", "))),
          workload_text(options)};
}

ScalingTable scaling_table(const ScalingReport& report, const ScalingOptions& options) {
  const std::string unit = unit_of_work(report);
  ScalingTable table;
  table.head = {"ranks",
                "tok/s",
                "spread",
                fmt::format("tok/s/{}", unit),
                "efficiency",
                "ms/token",
                "collectives",
                "load s",
                fmt::format("{}/Mtok", options.price.unit.empty() ? "cost" : options.price.unit),
                "predicted tok/s",
                "predicted ms"};
  std::vector<Verdict> verdicts;
  for (const ScalingGoal goal : kScalingGoals) {
    verdicts.push_back(verdict_on(report, goal, options.price));
  }
  for (std::size_t i = 0; i < report.rows.size(); ++i) {
    const ScalingRow& row = report.rows[i];
    const std::optional<Interval> speed = speed_of(row);
    const std::optional<Interval> token = token_seconds_of(row);
    const std::optional<Interval> cost = cost_of(row, options.price);
    table.rows.push_back(
        {row.shape.name(),
         row.fits() ? number_or_dash(value_of(speed), 1) + mark_of(verdicts[0], i) : "does not fit",
         percent_or_dash(speed ? std::optional(row.output_speed.spread()) : std::nullopt),
         number_or_dash(speed_per_gpu(row), 1), percent_or_dash(efficiency_of(report, row)),
         number_or_dash(milliseconds(token), 3) + mark_of(verdicts[1], i),
         percent_or_dash(collective_share_of(row)),
         number_or_dash(row.fits() ? std::optional(row.load_seconds) : std::nullopt, 2),
         (cost ? fmt::format("{:.4g}", cost->value) : std::string(kUnknown)) +
             mark_of(verdicts[2], i),
         predicted_text(predicted_speed_of(row), value_of(speed), 1, 1),
         predicted_text(predicted_token_seconds_of(row), value_of(token), 1e3, 3)});
  }
  table.notes = notes_of(report, options);
  return table;
}

std::string scaling_text(const ScalingReport& report, const ScalingOptions& options) {
  const ScalingTable table = scaling_table(report, options);
  std::vector<std::size_t> widths;
  for (std::size_t column = 0; column < table.head.size(); ++column) {
    std::size_t width = width_of(table.head[column]);
    for (const auto& row : table.rows) {
      width = std::max(width, width_of(row[column]));
    }
    widths.push_back(width);
  }
  const auto line = [&](const std::vector<std::string>& cells) {
    std::string text;
    for (std::size_t column = 0; column < cells.size(); ++column) {
      text += std::string(widths[column] - width_of(cells[column]) + (column == 0 ? 0 : 2), ' ');
      text += cells[column];
    }
    text.erase(text.find_last_not_of(' ') + 1);
    return text + "\n";
  };
  std::string text = fmt::format("{}\n\n", fmt::join(scaling_heading(report, options), "\n"));
  text += line(table.head);
  for (const auto& row : table.rows) {
    text += line(row);
  }
  return text + fmt::format("\n{}\n", fmt::join(table.notes, "\n"));
}

}  // namespace tutti
