// How an answer is drawn and when it ends: the options that `generate` and `batch` share.
#pragma once

#include "launch/options.hpp"
#include "runtime/engine/request.hpp"

namespace tutti {

constexpr int kMostLogprobs = 20;  // alternatives of one token that can be reported

// Rules of one answer, --max-tokens to --ignore-eos.
std::vector<OptionSpec> sampling_option_specs();
// Stop strings unescaped; --logprobs is read where the command has it. Errors: UsageError.
SamplingOptions sampling_options(const ParsedOptions& parsed);

}  // namespace tutti
