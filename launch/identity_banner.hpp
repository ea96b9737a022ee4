// What was loaded, said before the first token: never what was asked for.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "launch/job_facts.hpp"
#include "runtime/weights/model_file.hpp"

namespace tutti {

struct LoadedFacts {
  ModelIdentity model;
  std::string architecture;
  int ranks = 1;
  int nodes = 1;
  std::string backend;    // "host, mpi"
  std::string network;    // between nodes; empty: there is one
  int threads_least = 1;  // over the ranks
  int threads_most = 1;
  std::uint64_t bytes_least = 0;  // of weights over the ranks
  std::uint64_t bytes_most = 0;
  double imbalance = 0;  // ShardPlan::imbalance
  int kv_pages = 0;
  std::int64_t kv_tokens = 0;
  std::uint64_t kv_bytes = 0;  // on the rank that holds most
  double load_seconds = 0;
  bool made_up = false;          // random weights: nothing was read
  std::uint64_t load_bytes = 0;  // over all ranks
  JobFacts job;
};

// The fingerprint as people compare it: its first 12 hex digits.
std::string short_fingerprint(const std::string& fingerprint);
// "1.24 B", "134.5 M": counts of parameters.
std::string human_count(std::uint64_t count);
// A few lines, each ending in a line break.
std::string identity_banner(const LoadedFacts& facts);

// {name, fingerprint, dtype, parameters, architecture}: how results name the model as loaded.
nlohmann::json model_json(const ModelIdentity& model, const std::string& architecture);
// What every report of a run begins with: {tutti, model, ranks, nodes, devices, backend, job}.
nlohmann::json run_json(const LoadedFacts& facts);

}  // namespace tutti
