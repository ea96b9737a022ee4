// Rules of `tutti doctor` about GPUs and the links between them.
#include <fmt/format.h>

#include <map>
#include <set>

#include "launch/doctor_diagnose.hpp"
#include "launch/progress.hpp"

namespace tutti {
namespace {

const GpuReport* gpu_of(const RankReport& rank) {
  const bool has = rank.gpu >= 0 && static_cast<std::size_t>(rank.gpu) < rank.gpus.size();
  return has ? &rank.gpus[static_cast<std::size_t>(rank.gpu)] : nullptr;
}

void find_missing_gpus(const Examination& found, std::vector<Finding>& findings) {
  std::vector<int> without;
  std::vector<int> hidden;
  bool any = false;
  std::string why;
  for (const RankReport& rank : found.ranks) {
    any = any || !rank.gpus.empty();
    if (rank.gpus.empty() && !rank.host_wanted) {
      without.push_back(rank.rank);
      why = why.empty() ? rank.why_no_gpu : why;
      if (rank.machine_has_gpus) {
        hidden.push_back(rank.rank);
      }
    }
  }
  if (any && !without.empty()) {
    findings.push_back(
        {.severity = Severity::error,
         .code = "no-gpu",
         .text = fmt::format("{} see no GPU, others do: {}", who(found, without), why),
         .remedy = "give every rank one (--gpus-per-node, --gres=gpu:N), look at "
                   "nvidia-smi on that host, or use --device host",
         .ranks = without});
  } else if (!hidden.empty()) {
    findings.push_back({.severity = Severity::warning,
                        .code = "unused-gpu",
                        .text = fmt::format("the host would compute though {} have GPUs: {}",
                                            who(found, hidden), why),
                        .remedy = "ask Slurm for them (--gpus-per-node), look at "
                                  "CUDA_VISIBLE_DEVICES; --device host says that this is meant",
                        .ranks = hidden});
  }
}

// One GPU for two ranks, and whether the node has more than they see.
void find_shared_gpus(const Examination& found, std::vector<Finding>& findings) {
  std::map<std::string, std::vector<int>> owners;
  std::map<std::string, std::string> names;
  for (const RankReport& rank : found.ranks) {
    if (const GpuReport* gpu = gpu_of(rank)) {
      owners[gpu->uuid].push_back(rank.rank);
      names[gpu->uuid] = gpu->name;
    }
  }
  for (const auto& [uuid, ranks] : owners) {
    if (ranks.size() < 2) {
      continue;
    }
    std::set<std::string> visible;
    for (const RankReport& rank : found.ranks) {
      if (rank.rank == ranks.front()) {
        for (const GpuReport& gpu : rank.gpus) {
          visible.insert(gpu.uuid);
        }
      }
    }
    findings.push_back(
        {.severity = Severity::error,
         .code = "shared-gpu",
         .text = fmt::format("{} would share one GPU, {} ({}); {} {} to be seen there",
                             who(found, ranks), uuid, names[uuid], visible.size(),
                             visible.size() == 1 ? "is" : "are"),
         .remedy = "start as many ranks on a node as it has GPUs (--ntasks-per-node), or let each "
                   "see all of them (--gpus-per-node instead of --gpu-bind)",
         .ranks = ranks});
  }
}

void find_mixed_gpus(const Examination& found, std::vector<Finding>& findings) {
  RanksByText groups;
  for (const RankReport& rank : found.ranks) {
    if (const GpuReport* gpu = gpu_of(rank)) {
      groups[gpu->name].push_back(rank.rank);
    }
  }
  if (groups.size() > 1) {
    findings.push_back({.severity = Severity::warning,
                        .code = "mixed-gpus",
                        .text = fmt::format("the group mixes GPUs: {}", describe(found, groups)),
                        .remedy =
                            "ask for one kind (--constraint, --gpus=KIND:N): the slowest sets "
                            "the pace, the smallest the KV cache",
                        .ranks = odd_ones(groups)});
  }
}

void find_filled_gpus(const Examination& found, std::vector<Finding>& findings) {
  constexpr double kFree = 0.9;
  for (const RankReport& rank : found.ranks) {
    const GpuReport* gpu = gpu_of(rank);
    if (gpu != nullptr &&
        static_cast<double>(rank.gpu_free_bytes) < kFree * static_cast<double>(gpu->total_bytes)) {
      findings.push_back(
          {.severity = Severity::warning,
           .code = "gpu-memory",
           .text =
               fmt::format("{}: {} of {} are free on GPU {} ({}): something else holds the rest",
                           who(found, {rank.rank}), human_bytes(rank.gpu_free_bytes),
                           human_bytes(gpu->total_bytes), gpu->bus_id, gpu->uuid),
           .remedy = "nvidia-smi on that host shows who; ask for the node alone (--exclusive)",
           .ranks = {rank.rank}});
    }
  }
}

void find_links_apart(const Examination& found, std::vector<Finding>& findings) {
  for (const RankReport& rank : found.ranks) {
    if (rank.node_rank == 0 && !rank.gpus_apart.empty()) {
      findings.push_back(
          {.severity = Severity::warning,
           .code = "peer-links",
           .text = fmt::format("GPUs of {} that cannot reach each other's memory: {}", rank.host,
                               fmt::join(rank.gpus_apart, ", ")),
           .remedy =
               "collectives go through the host's memory there and are slow; use GPUs of one "
               "NVLink or PCIe group (nvidia-smi topo -m), look whether the IOMMU or ACS is on",
           .ranks = {rank.rank}});
    }
  }
}

}  // namespace

void find_gpu_faults(const Examination& found, std::vector<Finding>& findings) {
  find_missing_gpus(found, findings);
  find_shared_gpus(found, findings);
  find_mixed_gpus(found, findings);
  find_filled_gpus(found, findings);
  find_links_apart(found, findings);
}

}  // namespace tutti
