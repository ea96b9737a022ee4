// tutti bench throughput: many requests at once, how many tokens a second come out, and what keeps
// it from more.
#pragma once

#include <functional>

#include "launch/bench_workload.hpp"
#include "launch/session.hpp"
#include "launch/statistics.hpp"

namespace tutti {

struct ThroughputOptions {
  SessionOptions session;
  std::size_t requests = 256;  // of a file: at most so many, from its beginning
  int input_tokens = 128;
  int output_tokens = 128;
  std::filesystem::path workload;  // empty: random prompts of those lengths
  int max_running = 256;
  SamplingOptions sampling;  // how answers are drawn
  int repeats = 5;
  std::uint64_t seed = 0;
  bool json = false;
  bool ceilings = true;  // measure the library and the memory too
};

struct ThroughputResult {
  std::size_t requests = 0;
  std::int64_t prompt_tokens = 0;  // of all requests
  std::int64_t output_tokens = 0;
  std::vector<double> repeat_seconds;
  Summary seconds;          // of a repeat
  Summary output_speed;     // tokens of answers per second
  EngineCounters counters;  // of all measured repeats together
  double prompt_seconds =
      0;  // of all prompts, from as many as run at once with an answer of one token
  // What the same would take at the ceilings that were measured in this run.
  double prompt_floor = 0;  // the prompts' matrix products by the library, seconds
  double decode_floor = 0;  // reading weights, once for each step of full size, and keys and values

  double busy_share() const;  // of the device, while there was work
  double gap_per_step() const;
};

// For who measures several sessions at the same time.
struct ThroughputHooks {
  std::function<void()> loaded;  // collective over the session, before the first request
  std::function<void()> repeat;  // on the root, before each measured repeat
};

// Collective; the result is complete on rank 0 only.
ThroughputResult measure_throughput(Session& session, const ThroughputOptions& options,
                                    const ThroughputHooks& hooks = {});

std::string throughput_text(const LoadedFacts& facts, const ThroughputOptions& options,
                            const ThroughputResult& result);
nlohmann::json throughput_json(const LoadedFacts& facts, const ThroughputOptions& options,
                               const ThroughputResult& result);

}  // namespace tutti
