// How long the ranks of a job wait for one another: --startup-timeout and --peer-timeout.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "launch/options.hpp"

namespace tutti {

struct WatchTimes {
  std::chrono::milliseconds startup{60000};  // --startup-timeout: for a stage of the start
  std::chrono::milliseconds peer{60000};     // --peer-timeout: for ranks that should be here
};

// The two options, for commands that run a model.
std::vector<OptionSpec> watch_options();
// Errors: UsageError.
WatchTimes watch_times(const ParsedOptions& parsed);
// Before anything is parsed, since MPI's start is watched too; what is wrong is said later.
WatchTimes watch_times(const std::vector<std::string>& arguments);

}  // namespace tutti
