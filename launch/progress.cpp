#include "launch/progress.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "launch/output.hpp"

namespace tutti {
namespace {

constexpr std::chrono::milliseconds kRedraw{100};
constexpr double kSecondsBetweenLines = 2;
constexpr double kSecondsWithoutLine = 30;
constexpr int kBarWidth = 30;

double share(const ProgressState& state) {
  return state.total == 0
             ? 1.0
             : std::min(1.0, static_cast<double>(state.done) / static_cast<double>(state.total));
}

std::string numbers(const ProgressState& state) {
  const double speed = state.seconds > 0 ? static_cast<double>(state.done) / state.seconds : 0;
  std::string text = fmt::format("{:3.0f} %  {} of {}  {:.2f} GB/s", std::floor(100 * share(state)),
                                 human_bytes(state.done), human_bytes(state.total), speed / 1e9);
  if (state.done >= state.total) {
    text += fmt::format("  in {}", human_duration(state.seconds));
  } else if (speed > 0) {
    const double left = static_cast<double>(state.total - state.done) / speed;
    text += fmt::format("  ETA {}", human_duration(left));
  }
  return text;
}

}  // namespace

std::string human_bytes(std::uint64_t bytes) {
  const double number = static_cast<double>(bytes);
  if (bytes < 1000) {
    return fmt::format("{} B", bytes);
  }
  if (bytes < 1000000) {
    return fmt::format("{:.1f} kB", number / 1e3);
  }
  return bytes < 1000000000 ? fmt::format("{:.1f} MB", number / 1e6)
                            : fmt::format("{:.2f} GB", number / 1e9);
}

std::string human_duration(double seconds) {
  const auto whole = std::int64_t{std::llround(seconds)};
  if (seconds < 10) {
    return fmt::format("{:.1f}s", seconds);
  }
  if (whole < 60) {
    return fmt::format("{}s", whole);
  }
  return whole < 3600 ? fmt::format("{}m{:02}s", whole / 60, whole % 60)
                      : fmt::format("{}h{:02}m", whole / 3600, whole / 60 % 60);
}

std::string render_bar(const ProgressState& state, int width) {
  const int filled = static_cast<int>(share(state) * width);
  return fmt::format("{} [{}{}] {}", state.what, std::string(static_cast<std::size_t>(filled), '#'),
                     std::string(static_cast<std::size_t>(width - filled), '.'), numbers(state));
}

std::string render_line(const ProgressState& state) {
  return fmt::format("{} {}", state.what, numbers(state));
}

bool LineSchedule::due(const ProgressState& state) {
  const auto tenth = static_cast<std::uint64_t>(share(state) * 10);
  const double quiet = state.seconds - last_;
  const bool step = tenth > tenth_ && quiet >= kSecondsBetweenLines;
  if (!step && quiet < kSecondsWithoutLine) {
    return false;
  }
  tenth_ = tenth;
  last_ = state.seconds;
  return true;
}

Progress::Progress(ProgressStyle style, std::string what, std::uint64_t total)
    : style_(style),
      state_{.what = std::move(what), .done = 0, .total = total, .seconds = 0},
      start_(std::chrono::steady_clock::now()) {}

Progress::~Progress() {
  if (style_ == ProgressStyle::bar && drawn_ && !finished_) {
    write_message("\n");
  }
}

void Progress::advance(std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  state_.done += bytes;
  show(false);
}

void Progress::set(std::uint64_t done, std::uint64_t total) {
  const std::lock_guard lock(mutex_);
  state_.done = done;
  state_.total = total;
  show(false);
}

void Progress::finish() {
  const std::lock_guard lock(mutex_);
  if (finished_) {
    return;
  }
  state_.done = state_.total;
  show(true);
  finished_ = true;
}

void Progress::show(bool last) {
  const auto now = std::chrono::steady_clock::now();
  state_.seconds = std::chrono::duration<double>(now - start_).count();
  if (style_ == ProgressStyle::bar && (last || !drawn_ || now - *drawn_ >= kRedraw)) {
    const std::string bar = render_bar(state_, kBarWidth);
    write_message(fmt::format("\r{}\x1b[K{}", bar, last ? "\n" : ""));
    drawn_ = now;
  } else if (style_ == ProgressStyle::lines && (last || lines_.due(state_))) {
    write_message(render_line(state_) + "\n");
  }
}

}  // namespace tutti
