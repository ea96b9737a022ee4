// Tells of a batch while it runs: progress on standard error, metrics in a file.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>

#include "launch/batch_record.hpp"
#include "launch/batch_status.hpp"
#include "launch/terminal.hpp"

namespace tutti {

struct BatchMonitorOptions {
  ProgressStyle style = ProgressStyle::lines;
  std::chrono::seconds between_lines{30};
  std::filesystem::path metrics;  // empty: none
};

// Written under another name and renamed, so that nobody reads half of it.
// Errors: Error that says what the system said.
void replace_file(const std::filesystem::path& path, const std::string& text);

class BatchMonitor {
 public:
  BatchMonitor(BatchMonitorOptions options, BatchModel model);
  ~BatchMonitor();  // ends the bar's line

  // Whether look() would do something now: making a status costs a little.
  bool due() const;
  // Says what is due.
  void look(const BatchStatus& status);
  void finish(const BatchStatus& status);
  // A line of its own, beside the bar.
  void say(const std::string& line);

 private:
  using Clock = std::chrono::steady_clock;
  void write_metrics(const BatchStatus& status);

  BatchMonitorOptions options_;
  BatchModel model_;
  BatchStatus told_;      // when speeds were last looked at
  BatchStatus measured_;  // … for the metrics
  Clock::time_point last_told_;
  Clock::time_point last_measured_;
  bool drawn_ = false;
  bool warned_ = false;
};

}  // namespace tutti
