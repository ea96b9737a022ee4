// tutti bench latency: one request, or a batch that starts at once, how long it takes and why.
#pragma once

#include "launch/session.hpp"
#include "launch/statistics.hpp"

namespace tutti {

struct LatencyOptions {
  SessionOptions session;
  int batch = 1;  // requests that start together
  int prompt_tokens = 128;
  int new_tokens = 128;
  int repeats = 5;
  std::uint64_t seed = 0;
  bool json = false;
  bool ceilings = true;  // measure the library and the memory too
};

struct LatencyResult {
  Summary first_token;     // seconds until every request has its first token, one per repeat
  Summary between_tokens;  // seconds from one token of a request to its next, over all repeats
  Summary median_between;  // of each repeat's median between tokens
  Summary decode_speed;    // tokens per second of all requests once all have begun, one per repeat
  Summary whole_speed;     // tokens per second from the start to the end, one per repeat
  std::vector<TokenId> tokens;        // of the first request of the first measured repeat
  double weight_bytes_per_token = 0;  // read by all ranks
  double kv_bytes_per_token = 0;      // read by all ranks, in the middle of the answer
  double read_bandwidth = 0;          // bytes per second of all ranks together
  double collective_seconds = 0;      // of a step that decodes, measured by itself
  double prompt_flops = 0;            // matrix products of the prompt
  double library_seconds = 0;         // for the same products
  std::vector<RankFacts> ranks;
  std::vector<ExpertLoad> experts;  // of each rank, in a step that decodes; zeros without experts

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
