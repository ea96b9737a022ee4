// How far a long copy is: a bar where a person looks on, now and then a line in a batch log.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

#include "launch/terminal.hpp"

namespace tutti {

struct ProgressState {
  std::string what;  // "loading weights"
  std::uint64_t done = 0;
  std::uint64_t total = 0;  // bytes
  double seconds = 0;       // since the start
};

// "12.3 MB", "1.50 GB": powers of ten, as disks and links are sold.
std::string human_bytes(std::uint64_t bytes);
// "8s", "2m05s", "1h02m".
std::string human_duration(double seconds);

// "loading weights [#####.....]  50 %  1.20 GB of 2.40 GB  0.60 GB/s  ETA 2s"
std::string render_bar(const ProgressState& state, int width);
// The same without the bar.
std::string render_line(const ProgressState& state);

// When a batch log gets its next line: at every tenth of the work, but not sooner than two seconds
// after the last, and at least twice a minute.
class LineSchedule {
 public:
  bool due(const ProgressState& state);

 private:
  std::uint64_t tenth_ = 0;
  double last_ = 0;
};

// Writes to standard error. Thread-safe.
class Progress {
 public:
  Progress(ProgressStyle style, std::string what, std::uint64_t total);
  ~Progress();  // ends the bar's line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void advance(std::uint64_t bytes);
  void set(std::uint64_t done, std::uint64_t total);
  void finish();

 private:
  void show(bool last);

  std::mutex mutex_;
  ProgressStyle style_;
  ProgressState state_;
  LineSchedule lines_;
  std::chrono::steady_clock::time_point start_;
  std::optional<std::chrono::steady_clock::time_point> drawn_;
  bool finished_ = false;
};

}  // namespace tutti
