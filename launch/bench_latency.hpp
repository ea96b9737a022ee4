// tutti bench latency: one request at a time, how long it takes and why.
#pragma once

#include "launch/session.hpp"
#include "launch/statistics.hpp"

namespace tutti {

struct LatencyOptions {
  SessionOptions session;
  int prompt_tokens = 128;
  int new_tokens = 128;
  int repeats = 5;
  std::uint64_t seed = 0;
  bool json = false;
};

struct LatencyResult {
  Summary first_token;                // seconds
  Summary between_tokens;             // seconds per output token after the first, over all repeats
  Summary decode_speed;               // tokens per second, one value per repeat
  double weight_bytes_per_token = 0;  // read by all ranks
  double kv_bytes_per_token = 0;      // read by all ranks, in the middle of the answer
  double read_bandwidth = 0;          // bytes per second of all ranks together
  double prompt_flops = 0;            // matrix products of the prompt
  double library_seconds = 0;         // for the same products
  std::vector<RankFacts> ranks;

  double bytes_per_token() const { return weight_bytes_per_token + kv_bytes_per_token; }
  double achieved_bandwidth() const { return bytes_per_token() * decode_speed.mean; }
};

// Collective; the result is complete on rank 0 only.
LatencyResult measure_latency(Session& session, const LatencyOptions& options);

std::string latency_text(const LoadedFacts& facts, const LatencyOptions& options,
                         const LatencyResult& result);
nlohmann::json latency_json(const LoadedFacts& facts, const LatencyOptions& options,
                            const LatencyResult& result);

}  // namespace tutti
