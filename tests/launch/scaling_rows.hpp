// Rows of a scaling run as tests make them up.
#pragma once

#include <utility>

#include "launch/bench_scaling.hpp"

namespace tutti::test {

inline ScalingRow scaling_row(ScalingShape shape, std::vector<double> speeds,
                              std::vector<double> token_seconds) {
  ScalingRow row{.shape = shape, .why_not = {}, .backend = "NVIDIA X, nccl"};
  row.speeds = speeds;
  row.output_speed = summarize(std::move(speeds));
  if (!token_seconds.empty()) {
    row.latency.emplace();
    row.latency->median_between = summarize(token_seconds);
    row.latency->between_tokens = summarize(std::move(token_seconds));
    row.latency->collective_seconds = 0.001;
    row.latency->first_token = summarize({0.5});
  }
  row.load_seconds = 2.5;
  return row;
}

inline ScalingRow scaling_row_that_does_not_fit(int ranks, std::string why) {
  return {.shape = {.ranks = ranks}, .why_not = std::move(why), .backend = {}};
}

inline ScalingReport scaling_report_of(std::vector<ScalingRow> rows) {
  ScalingReport report;
  report.model.name = "a <b> & \"c\", d";
  report.model.fingerprint = "0123456789abcdef";
  report.model.dtype = "bf16";
  report.model.parameters = 7000000000;
  report.architecture = "llama";
  report.hosts = {"node1", "node1", "node2"};
  report.devices = {"NVIDIA X", "NVIDIA X", ""};
  report.rows = std::move(rows);
  return report;
}

}  // namespace tutti::test
