// The report of a batch: everything about a run that one may want to know afterwards, as JSON.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "launch/batch_options.hpp"
#include "launch/batch_output.hpp"
#include "launch/batch_status.hpp"
#include "launch/exit_code.hpp"
#include "launch/session.hpp"

namespace tutti {

// This process's words, as the system has them.
std::vector<std::string> command_line();

struct BatchEnd {
  ExitCode code = ExitCode::fine;
  std::string reason;  // "all answered", "SIGTERM", "the time limit", an error's text
};

// `ranks`: of the whole world.
nlohmann::json batch_report(const Session& session, const BatchOptions& options,
                            const std::vector<RankPlace>& ranks, const FoundOutput& found,
                            const BatchStatus& status, const BatchEnd& end, std::int64_t began);

}  // namespace tutti
