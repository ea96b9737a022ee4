// Rules of `tutti doctor` about how the job was started, and whether all ranks run the same
// software.
#include <fmt/format.h>

#include "launch/doctor_diagnose.hpp"
#include "launch/launch_check.hpp"

namespace tutti {
namespace {

// srun without the right PMI starts N worlds of one rank; mpirun of another MPI does the same.
void find_singletons(const RankReport& rank, std::vector<Finding>& findings) {
  const auto wrong = find_wrong_world(
      rank.environment,
      {.rank = rank.rank, .world = rank.world, .host = rank.host, .mpi = rank.mpi});
  if (wrong) {
    const bool launched = wrong->kind == WrongWorld::Kind::other_size;
    findings.push_back({.severity = launched ? Severity::error : Severity::warning,
                        .code = launched ? "singletons" : "no-launcher",
                        .text = wrong->text,
                        .remedy = wrong->remedy,
                        .ranks = {rank.rank}});
  }
}

void differ(const Examination& found, std::vector<Finding>& findings, Severity severity,
            const char* what, const std::function<std::string(const RankReport&)>& text_of) {
  const RanksByText groups = ranks_by(found, text_of);
  if (groups.size() < 2) {
    return;
  }
  const std::vector<int> odd = odd_ones(groups);
  findings.push_back(
      {.severity = severity,
       .code = "version",
       .text = fmt::format("{} differs between ranks: {}", what, describe(found, groups)),
       .remedy = fmt::format("load the same modules on all hosts, or install the "
                             "same {} where it differs ({})",
                             what, who(found, odd)),
       .ranks = odd});
}

// NCCL, MPI and UCX read these; they mean little when ranks have their own.
bool tunes(const std::string& name) {
  return name.starts_with("NCCL_") || name.starts_with("UCX_") ||
         (name.starts_with("OMPI_MCA_") && !name.starts_with("OMPI_MCA_ess") &&
          !name.starts_with("OMPI_MCA_orte") && !name.starts_with("OMPI_MCA_pmix") &&
          !name.starts_with("OMPI_MCA_initial"));
}

void find_other_settings(const Examination& found, std::vector<Finding>& findings) {
  std::map<std::string, bool> names;
  for (const RankReport& rank : found.ranks) {
    for (const auto& [name, value] : rank.environment) {
      names[name] = tunes(name);
    }
  }
  for (const auto& [name, wanted] : names) {
    if (!wanted) {
      continue;
    }
    const RanksByText groups = ranks_by(found, [&name = name](const RankReport& rank) {
      const auto at = rank.environment.find(name);
      return at == rank.environment.end() ? std::string("not set") : at->second;
    });
    if (groups.size() > 1) {
      const std::vector<int> odd = odd_ones(groups);
      findings.push_back(
          {.severity = Severity::warning,
           .code = "environment",
           .text = fmt::format("{} differs between ranks: {}", name, describe(found, groups)),
           .remedy = fmt::format("hand it on to all ranks (mpirun -x {}; srun --export=ALL)", name),
           .ranks = odd});
    }
  }
}

}  // namespace

void find_launch_faults(const Examination& found, std::vector<Finding>& findings) {
  if (!found.ranks.empty()) {
    find_singletons(found.ranks.front(), findings);
  }
  find_other_settings(found, findings);
}

void find_version_faults(const Examination& found, std::vector<Finding>& findings) {
  differ(found, findings, Severity::error, "Tutti", [](const RankReport& r) { return r.tutti; });
  differ(found, findings, Severity::error, "MPI", [](const RankReport& r) { return r.mpi; });
  differ(found, findings, Severity::error, "CUDA or NCCL",
         [](const RankReport& r) { return r.cuda; });
  differ(found, findings, Severity::warning, "HDF5", [](const RankReport& r) { return r.hdf5; });
  differ(found, findings, Severity::warning, "NVIDIA driver",
         [](const RankReport& r) { return r.driver; });
}

}  // namespace tutti
