// What tutti bench takes, and what a command line gave each of its kinds.
#pragma once

#include "launch/bench_latency.hpp"
#include "launch/bench_load.hpp"
#include "launch/bench_scaling.hpp"
#include "launch/bench_throughput.hpp"
#include "launch/options.hpp"

namespace tutti {

CommandSpec bench_spec();

// Errors of all: UsageError.
LatencyOptions latency_options(const ParsedOptions& parsed);
ThroughputOptions throughput_options(const ParsedOptions& parsed);
LoadOptions load_options(const ParsedOptions& parsed);
ScalingOptions scaling_options(const ParsedOptions& parsed);

// "4,1,2" as 1, 2, 4: whole numbers from 1, each once.
std::vector<int> counts_from_text(const std::string& text);

}  // namespace tutti
