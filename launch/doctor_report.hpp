// What one rank saw, as `tutti doctor` hands it to rank 0: plain facts without judgement
// (launch/doctor_diagnose.hpp judges).
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace tutti {

struct GpuReport {
  int ordinal = 0;  // among those that the rank sees
  std::string name;
  std::string uuid;
  std::string bus_id;
  std::uint64_t total_bytes = 0;
};

struct InterfaceReport {
  std::string name;
  int megabits = 0;      // per second; 0: it does not say
  bool virtual_ = true;  // a bridge, a container's, loopback: no hardware behind it
};

struct FileReport {
  std::string path;  // empty: no model was asked for
  std::string error;
  std::string name;
  std::string fingerprint;
  std::string dtype;
  std::uint64_t parameters = 0;
  std::string copy;  // equal where ranks see one and the same file
  std::string file_system;
  std::uint64_t bytes = 0;  // of weights

  bool folder_writable = false;
  std::string flock_error;  // empty: it works
  std::string fcntl_error;

  std::string read_error;
  std::uint64_t read_bytes = 0;  // of this rank's part
  std::uint64_t part_bytes = 0;
  double read_seconds = 0;
  double cached_share = 0;  // of the file in the page cache before the reading
};

struct CollectiveRow {
  std::string what;
  std::uint64_t bytes = 0;
  double microseconds = 0;
  double bus_rate = 0;  // GB/s
};

struct RankReport {
  int rank = 0;
  int world = 1;
  int node = 0;  // index of the node, equal for ranks that share one
  int node_rank = 0;
  std::string host;
  int process = 0;

  std::string tutti;
  std::string mpi;
  std::string hdf5;
  std::string cuda;    // "CUDA 13.0, driver for 13.0, cuBLAS 13.1.0, NCCL 2.28.3"; may be empty
  std::string driver;  // "580.65.06"; empty: none

  std::vector<int> cpus;
  int online_cpus = 1;
  double clock = 0;                 // seconds since 1970, at a moment that all ranks share
  std::int64_t time_left = -1;      // seconds; -1: no limit is known
  std::int64_t memlock_bytes = -1;  // -1: unlimited
  std::uint64_t shm_bytes = 0;      // of /dev/shm
  std::uint64_t shm_free_bytes = 0;
  std::vector<std::string> shm_leftovers;
  std::map<std::string, std::string> environment;  // what launchers, MPI, NCCL and CUDA look at

  bool gpus_asked = false;  // whether the rank got as far as this
  bool machine_has_gpus = false;
  bool host_wanted = false;  // --device host
  std::string why_no_gpu;
  std::vector<GpuReport> gpus;              // that the rank sees
  int gpu = -1;                             // the one it would take, an index
  std::uint64_t gpu_free_bytes = 0;         // of that one
  std::vector<std::string> gpus_apart;      // "0-1": cannot reach each other's memory
  std::vector<InterfaceReport> interfaces;  // that are up
  std::vector<std::string> fast_links;      // "mlx5_0 port 1: 200 Gb/sec (2X NDR)", active ones
  std::vector<CollectiveRow> collectives;
  std::string backend;  // "host, mpi", …
  FileReport file;
};

nlohmann::json to_json(const RankReport& report);
RankReport rank_report_from_json(const nlohmann::json& json);

}  // namespace tutti
