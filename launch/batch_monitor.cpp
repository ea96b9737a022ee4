#include "launch/batch_monitor.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include "kernels/error.hpp"
#include "launch/output.hpp"

namespace tutti {
namespace {

constexpr std::chrono::milliseconds kRedraw{500};
constexpr std::chrono::seconds kBetweenMetrics{5};

}  // namespace

void replace_file(const std::filesystem::path& path, const std::string& text) {
  const std::filesystem::path next = fmt::format("{}.{}.partial", path.string(), getpid());
  errno = 0;
  {
    std::ofstream file(next, std::ios::binary | std::ios::trunc);
    file << text << std::flush;
    if (!file) {
      const int error = errno;
      unlink(next.c_str());
      throw Error(fmt::format("{} cannot be written: {}", path.string(), std::strerror(error)));
    }
  }
  std::error_code error;
  std::filesystem::rename(next, path, error);
  if (error) {
    unlink(next.c_str());
    throw Error(fmt::format("{} cannot be written: {}", path.string(), error.message()));
  }
}

BatchMonitor::BatchMonitor(BatchMonitorOptions options, BatchModel model)
    : options_(std::move(options)),
      model_(std::move(model)),
      last_told_(Clock::now()),
      last_measured_(Clock::now() - kBetweenMetrics) {}

BatchMonitor::~BatchMonitor() {
  if (drawn_) {
    write_message("\n");
  }
}

bool BatchMonitor::due() const {
  const auto now = Clock::now();
  const bool bar = options_.style == ProgressStyle::bar && now - last_told_ >= kRedraw;
  const bool line =
      options_.style == ProgressStyle::lines && now - last_told_ >= options_.between_lines;
  return bar || line || (!options_.metrics.empty() && now - last_measured_ >= kBetweenMetrics);
}

void BatchMonitor::look(const BatchStatus& status) {
  const auto now = Clock::now();
  if (options_.style == ProgressStyle::bar && now - last_told_ >= kRedraw) {
    write_message(fmt::format("\r\x1b[K{}", status_bar(status, speed_between(told_, status))));
    drawn_ = true;
    // Speeds over some redraws: single ones jump.
    constexpr double kSpeedSeconds = 3;
    if (status.seconds - told_.seconds >= kSpeedSeconds) {
      told_ = status;
    }
    last_told_ = now;
  } else if (options_.style == ProgressStyle::lines && now - last_told_ >= options_.between_lines) {
    write_message(status_line(status, speed_between(told_, status)) + "\n");
    told_ = status;
    last_told_ = now;
  }
  if (!options_.metrics.empty() && now - last_measured_ >= kBetweenMetrics) {
    write_metrics(status);
    last_measured_ = now;
  }
}

void BatchMonitor::finish(const BatchStatus& status) {
  if (options_.style == ProgressStyle::bar) {
    write_message(fmt::format("\r\x1b[K{}\n", status_bar(status, speed_between({}, status))));
    drawn_ = false;
  } else if (options_.style == ProgressStyle::lines) {
    write_message(status_line(status, speed_between({}, status)) + "\n");
  }
  if (!options_.metrics.empty()) {
    write_metrics(status);
  }
}

void BatchMonitor::say(const std::string& line) {
  write_message(fmt::format("{}{}\n", drawn_ ? "\r\x1b[K" : "", line));
}

// Metrics that cannot be written must not end the work.
void BatchMonitor::write_metrics(const BatchStatus& status) {
  try {
    replace_file(options_.metrics, prometheus_text(status, speed_between(measured_, status),
                                                   model_.name, model_.fingerprint));
  } catch (const Error& error) {
    if (!std::exchange(warned_, true)) {
      say(fmt::format("tutti: warning: metrics: {}", error.what()));
    }
  }
  measured_ = status;
}

}  // namespace tutti
