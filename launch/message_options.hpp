// How much a command says on standard error, the same options everywhere.
#pragma once

#include <string>

#include "launch/options.hpp"
#include "launch/terminal.hpp"

namespace tutti {

struct MessageOptions {
  bool quiet = false;
  std::string progress = "auto";

  // For this process's standard error.
  ProgressStyle progress_style() const;
};

// "Messages on standard error": --quiet, --progress.
OptionGroup message_option_group();
// Errors: UsageError.
MessageOptions message_options(const ParsedOptions& parsed);

}  // namespace tutti
