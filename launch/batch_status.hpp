// How a batch stands, as numbers, and the texts that are made of them.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "launch/latency_histogram.hpp"
#include "runtime/engine/counters.hpp"

namespace tutti {

// What one replica of the model did.
struct ReplicaShare {
  std::uint64_t answered = 0;
  std::uint64_t prompt_tokens = 0;  // of answered requests
  std::uint64_t output_tokens = 0;  // of answered requests
  double busy_seconds = 0;          // within steps
};

struct BatchStatus {
  std::optional<std::uint64_t> total;  // lines of the input, where that is known
  bool total_exact = true;             // else reckoned from the bytes read so far
  std::uint64_t read = 0;              // lines, so far
  std::uint64_t skipped = 0;           // done by an earlier run
  std::uint64_t answered = 0;
  std::uint64_t errors = 0;         // lines that got an error record
  std::uint64_t again = 0;          // of both, instead of another record of an earlier run
  std::uint64_t cancelled = 0;      // begun and not finished when the run ended
  std::uint64_t prompt_tokens = 0;  // of answered requests
  std::uint64_t output_tokens = 0;  // of answered requests
  std::uint64_t waiting = 0;
  std::uint64_t running = 0;
  double seconds = 0;            // since the first step could be made
  LatencyHistogram latency;      // of a request, from its submission to its record
  LatencyHistogram first_token;  // … to its first token
  EngineCounters engine;         // of all replicas together
  std::vector<ReplicaShare> replicas;

  std::uint64_t done() const { return skipped + answered + errors; }
  // Lines without a record; nothing where the total is not known for sure.
  std::optional<std::uint64_t> left() const;
};

// What came between two looks: tokens per second.
struct BatchSpeed {
  double prompt = 0;
  double output = 0;
};

BatchSpeed speed_between(const BatchStatus& before, const BatchStatus& now);

// "batch 120 of 1000, 3 errors; in 812 tok/s, out 640 tok/s; 64 running, 200 waiting; KV 83 %; ETA
// 2m10s"
std::string status_line(const BatchStatus& status, const BatchSpeed& speed);
// The same with a bar, for one line of a terminal.
std::string status_bar(const BatchStatus& status, const BatchSpeed& speed);
// Some lines for the end of the run.
std::string status_summary(const BatchStatus& status);

// Counts, tokens, throughput, latencies and the engine's counters, for the report.
nlohmann::json status_json(const BatchStatus& status);
// Prometheus text format, version 0.0.4.
std::string prometheus_text(const BatchStatus& status, const BatchSpeed& speed,
                            const std::string& model, const std::string& fingerprint);

}  // namespace tutti
