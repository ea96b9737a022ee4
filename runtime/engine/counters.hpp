// What an engine has done so far, and how full its cache is now: for progress, summaries, metrics.
#pragma once

#include <algorithm>
#include <cstdint>

namespace tutti {

// The scheduler's part.
struct ScheduleCounters {
  std::uint64_t prompt_tokens = 0;      // of requests that were admitted
  std::uint64_t computed_tokens = 0;    // that went through the model, recomputed ones included
  std::uint64_t cached_tokens = 0;      // prompt tokens that the prefix cache held already
  std::uint64_t recomputed_tokens = 0;  // computed once more after their request had given way
  std::uint64_t preemptions = 0;        // requests that gave way, each time counted

  int pages = 0;         // of the KV cache
  int used_pages = 0;    // held by running requests
  int cached_pages = 0;  // held by nobody, kept for prompts that begin alike
};

struct EngineCounters : ScheduleCounters {
  std::uint64_t steps = 0;
  std::uint64_t output_tokens = 0;  // heard from the device and told to the sink

  // By events around each step in the device's stream; of steps that were waited for.
  double device_seconds = 0;  // from the start to the end of each step
  double gap_seconds = 0;     // from the end of one to the start of the next, with work there
  double longest_gap_seconds = 0;

  // Of several engines together.
  EngineCounters& operator+=(const EngineCounters& other) {
    prompt_tokens += other.prompt_tokens;
    computed_tokens += other.computed_tokens;
    cached_tokens += other.cached_tokens;
    recomputed_tokens += other.recomputed_tokens;
    preemptions += other.preemptions;
    pages += other.pages;
    used_pages += other.used_pages;
    cached_pages += other.cached_pages;
    steps += other.steps;
    output_tokens += other.output_tokens;
    device_seconds += other.device_seconds;
    gap_seconds += other.gap_seconds;
    longest_gap_seconds = std::max(longest_gap_seconds, other.longest_gap_seconds);
    return *this;
  }
};

}  // namespace tutti
