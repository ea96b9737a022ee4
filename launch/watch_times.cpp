#include "launch/watch_times.hpp"

#include <cstdint>
#include <cstdlib>

namespace tutti {
namespace {

using std::chrono::milliseconds;

constexpr const char* kStartup = "startup-timeout";
constexpr const char* kPeer = "peer-timeout";
constexpr double kLeastSeconds = 0.5;
constexpr double kMostSeconds = 1e6;

milliseconds milliseconds_of(double seconds) {
  return milliseconds(static_cast<std::int64_t>(1e3 * seconds));
}

// Its value among arguments that nobody has looked at, or what it is without.
milliseconds raw_seconds(const std::vector<std::string>& arguments, const std::string& name,
                         milliseconds fallback) {
  const std::string option = "--" + name;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    std::string value;
    if (arguments[i] == option && i + 1 < arguments.size()) {
      value = arguments[i + 1];
    } else if (arguments[i].starts_with(option + "=")) {
      value = arguments[i].substr(option.size() + 1);
    }
    const double seconds = std::strtod(value.c_str(), nullptr);
    if (seconds >= kLeastSeconds && seconds <= kMostSeconds) {
      fallback = milliseconds_of(seconds);
    }
  }
  return fallback;
}

}  // namespace

std::vector<OptionSpec> watch_options() {
  return {{.name = kStartup,
           .value = "SECONDS",
           .help = "A stage of the start that takes longer ends the job and names the ranks that "
                   "are missing; reading weights gets more, by their size",
           .fallback = "60"},
          {.name = kPeer,
           .value = "SECONDS",
           .help = "A rank that others wait for so long ends the job; more than mpirun takes to "
                   "notice a lost node",
           .fallback = "60"}};
}

WatchTimes watch_times(const ParsedOptions& parsed) {
  return {.startup = milliseconds_of(parsed.real(kStartup, kLeastSeconds, kMostSeconds)),
          .peer = milliseconds_of(parsed.real(kPeer, kLeastSeconds, kMostSeconds))};
}

WatchTimes watch_times(const std::vector<std::string>& arguments) {
  const WatchTimes usual;
  return {.startup = raw_seconds(arguments, kStartup, usual.startup),
          .peer = raw_seconds(arguments, kPeer, usual.peer)};
}

}  // namespace tutti
