// tutti bench scaling: the same work on 1, 2, 3, … ranks of one allocation, one count after
// another: how many are best.
#pragma once

#include "launch/bench_latency.hpp"
#include "launch/bench_throughput.hpp"

namespace tutti {

// Ranks at work at the same time: `replicas` independent groups of `ranks` each.
struct ScalingShape {
  int ranks = 1;
  int replicas = 1;

  int all_ranks() const { return ranks * replicas; }
  std::string name() const;  // "4"; "2 x 2" where there are replicas

  friend bool operator==(const ScalingShape&, const ScalingShape&) = default;
};

// What a GPU hour costs, and in what.
struct ScalingPrice {
  double per_gpu_hour = 1;
  std::string unit = "GPU hours";  // without a price; empty: the currency of the price
};

struct ScalingOptions {
  ThroughputOptions throughput;
  LatencyOptions latency;
  std::vector<int> counts;  // ascending; empty: 1, 2, 3, … to the whole world
  bool replicas = false;    // fill idle ranks with replicas, in rows of their own
  ScalingPrice price;
  std::filesystem::path out = "scaling";
  std::string command;  // as it was given, for the record
};

// What somebody expects of one replica.
struct ScalingPrediction {
  std::optional<double> output_speed;       // tok/s of the throughput workload
  std::optional<double> seconds_per_token;  // of the latency workload
};
// `device`: as detected ("NVIDIA H200", "host"). Called on rank 0 once the row is measured.
using Predict =
    std::function<std::optional<ScalingPrediction>(int ranks, const std::string& device)>;

struct ScalingRow {
  ScalingShape shape;
  std::string why_not;         // it does not fit: by how much; nothing below is known then
  std::string backend;         // "host, mpi"
  std::vector<double> speeds;  // tokens of answers per second of all replicas, one for each repeat
  Summary output_speed;        // of those
  std::optional<LatencyResult> latency;  // none with replicas
  double load_seconds = 0;               // of the first load; the slowest rank's
  std::optional<ScalingPrediction> predicted;

  bool fits() const { return why_not.empty(); }
};

struct ScalingReport {
  ModelIdentity model;
  std::string architecture;
  std::vector<std::string> hosts;    // by rank of the world
  std::vector<std::string> devices;  // by rank of the world; empty: was never at work
  JobFacts job;                      // of the world
  std::vector<ScalingRow> rows;

  bool on_gpus() const;
};

// The rows of a run on `world` ranks, in order. Errors: UsageError where a count is above that.
std::vector<ScalingShape> scaling_shapes(const ScalingOptions& options, int world);

// By rank of the world: the number of its group, -1 where it idles. Groups stay on one node where
// they can; rank 0 is in group 0. Pure.
std::vector<int> scaling_groups(const std::vector<int>& node_of_rank, const ScalingShape& shape);

// Collective over the world. Hears of each report as it grows, by a row each time, on rank 0.
// Complete on rank 0 only. A shape that does not fit is a row that says so; any other failure is
// thrown on all ranks. Errors: AgreedFailure.
ScalingReport measure_scaling(const MpiRanks& world, const ScalingOptions& options,
                              const Predict& predict,
                              const std::function<void(const ScalingReport&)>& on_row);

}  // namespace tutti
