// Where a run took place and with what: the scheduler's job, each rank's host, GPU and CPUs, the
// libraries as loaded, the seconds of its start. Every report says it in this one form.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "launch/startup_stages.hpp"
#include "runtime/comm/communicator.hpp"
#include "runtime/device/device.hpp"

namespace tutti {

struct RankPlace {
  int replica = 0;  // of the model, where several share the work
  std::string host;
  std::string device;  // "host", "NVIDIA H100 80GB HBM3"; empty: took no part
  std::string uuid;    // of a GPU
  std::string cpus;    // that it may run on, "0-3,8"
};

struct LibraryVersions {
  std::string tutti;  // with its commit
  std::string mpi;
  std::string hdf5;
  std::string cuda;  // with its driver, cuBLAS and NCCL; empty: no GPU was used
};

struct JobFacts {
  std::vector<RankPlace> ranks;
  std::string communication;  // "host, mpi", "NVIDIA H200, nccl symmetric, own kernels"
  LibraryVersions libraries;
  std::vector<StageSeconds> startup;  // in order, of the rank that tells
};

// Of this process, on `device`.
RankPlace place_of(const std::string& host, const Device& device);

// Collective. Of every rank, in rank order.
std::vector<RankPlace> gather_places(ControlPlane& control, const RankPlace& own);

// Of this process. CUDA's only where GPUs are used: looking would load its library.
LibraryVersions library_versions(bool gpus);

// Names of devices as detected, each once, in the order of the ranks.
std::vector<std::string> device_names(const std::vector<RankPlace>& ranks);

// The value of an environment variable; null where it is not set.
using VariableOf = std::function<const char*(const char* name)>;

// The Slurm job that this is a part of: id, name, array index, step, restarts, nodes, partition,
// what there is. Null outside of one.
nlohmann::json scheduler_json(const VariableOf& variable_of);
nlohmann::json scheduler_json();  // of this process

nlohmann::json job_json(const JobFacts& job, const nlohmann::json& scheduler);
nlohmann::json job_json(const JobFacts& job);  // with this process's scheduler

}  // namespace tutti
