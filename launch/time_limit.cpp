#include "launch/time_limit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

namespace tutti {
namespace {

constexpr std::int64_t kMinute = 60;
constexpr std::int64_t kHour = 60 * kMinute;
constexpr std::int64_t kDay = 24 * kHour;

std::optional<std::int64_t> number_of(std::string_view text) {
  std::int64_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  constexpr std::int64_t kMost = 1'000'000'000;
  const bool whole = parsed.ec == std::errc() && parsed.ptr == text.data() + text.size();
  return whole && number >= 0 && number <= kMost ? std::optional(number) : std::nullopt;
}

// "1-02:03:04", "02:03:04", "03:04".
std::optional<std::chrono::seconds> parse_clock(std::string_view text) {
  std::int64_t days = 0;
  if (const std::size_t dash = text.find('-'); dash != std::string_view::npos) {
    const auto found = number_of(text.substr(0, dash));
    if (!found) {
      return std::nullopt;
    }
    days = *found;
    text.remove_prefix(dash + 1);
  }
  std::vector<std::int64_t> parts;
  while (true) {
    const std::size_t colon = text.find(':');
    const auto found = number_of(text.substr(0, colon));
    if (!found) {
      return std::nullopt;
    }
    parts.push_back(*found);
    if (colon == std::string_view::npos) {
      break;
    }
    text.remove_prefix(colon + 1);
  }
  constexpr std::array<std::int64_t, 3> kUnits = {1, kMinute, kHour};
  if (parts.size() < 2 || parts.size() > kUnits.size()) {
    return std::nullopt;
  }
  std::int64_t seconds = days * kDay;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    seconds += parts[parts.size() - 1 - i] * kUnits[i];
  }
  return std::chrono::seconds(seconds);
}

std::string ask_squeue(const std::string& job) {
  // Ids are digits; nothing else is put into a command.
  if (job.empty() || job.find_first_not_of("0123456789") != std::string::npos) {
    return {};
  }
  const std::string command = fmt::format("timeout 10 squeue -h -j {} -o %L 2>/dev/null", job);
  struct Close {
    void operator()(FILE* pipe) const { pclose(pipe); }
  };
  const std::unique_ptr<FILE, Close> pipe(popen(command.c_str(), "r"));
  std::array<char, 128> line{};
  if (!pipe || std::fgets(line.data(), line.size(), pipe.get()) == nullptr) {
    return {};
  }
  return line.data();
}

}  // namespace

std::optional<std::chrono::seconds> parse_duration(std::string_view text) {
  if (text.find(':') != std::string_view::npos) {
    return parse_clock(text);
  }
  std::int64_t unit = 1;
  if (!text.empty()) {
    const char last = text.back();
    unit = last == 'm' ? kMinute : last == 'h' ? kHour : last == 'd' ? kDay : 1;
    if (last == 's' || unit != 1) {
      text.remove_suffix(1);
    }
  }
  const auto number = number_of(text);
  return number ? std::optional(std::chrono::seconds(*number * unit)) : std::nullopt;
}

std::optional<std::chrono::seconds> parse_slurm_left(std::string_view text) {
  const std::size_t end = text.find_last_not_of(" \t\r\n");
  return end == std::string_view::npos ? std::nullopt : parse_clock(text.substr(0, end + 1));
}

std::optional<std::chrono::seconds> slurm_time_left() {
  const char* job = std::getenv("SLURM_JOB_ID");
  if (job == nullptr) {
    return std::nullopt;
  }
  if (const char* end = std::getenv("SLURM_JOB_END_TIME"); end != nullptr) {
    constexpr std::int64_t kNever = 4'000'000'000;  // Slurm's "infinite" lies far behind it
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    std::int64_t seconds = 0;
    const std::string_view text(end);
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (parsed.ec == std::errc() && seconds > 0) {
      return seconds < kNever ? std::optional(std::max(
                                    std::chrono::seconds(0),
                                    std::chrono::seconds(seconds) -
                                        std::chrono::duration_cast<std::chrono::seconds>(now)))
                              : std::nullopt;
    }
  }
  return parse_slurm_left(ask_squeue(job));
}

}  // namespace tutti
