// Rules of `tutti doctor` about how the job was started, and whether all ranks run the same
// software.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "launch/doctor_diagnose.hpp"

namespace tutti {
namespace {

// -1 where it is not set or no number.
int number_in(const RankReport& rank, const char* name) {
  const auto at = rank.environment.find(name);
  if (at == rank.environment.end()) {
    return -1;
  }
  int number = -1;
  const std::string& text = at->second;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  return parsed.ec == std::errc() ? number : -1;
}

std::string mpi_flag(const RankReport& rank) {
  if (rank.mpi.find("Open MPI") != std::string::npos) {
    return "srun --mpi=pmix (or export SLURM_MPI_TYPE=pmix; srun --mpi=list shows what there is)";
  }
  return "srun --mpi=pmi2 or --mpi=pmix, as this MPI was built for (srun --mpi=list shows what "
         "there is)";
}

std::string task_of(const RankReport& rank, int tasks) {
  const int task = std::max(number_in(rank, "SLURM_PROCID"), number_in(rank, "PMI_RANK"));
  return task >= 0 ? fmt::format("task {} of {} on {}", task, tasks, rank.host)
                   : fmt::format("one of {} processes on {}", tasks, rank.host);
}

// srun without the right PMI starts N worlds of one rank; mpirun of another MPI does the same.
void find_singletons(const RankReport& rank, std::vector<Finding>& findings) {
  // mpirun starts its daemons by srun: there SLURM_STEP_NUM_TASKS counts nodes.
  const int by_mpirun = number_in(rank, "OMPI_COMM_WORLD_SIZE");
  const int by_pmi = number_in(rank, "PMI_SIZE");
  const int by_step = number_in(rank, "SLURM_STEP_NUM_TASKS");
  const int started = by_mpirun > 0 ? by_mpirun : by_pmi > 0 ? by_pmi : by_step;
  if (started > 1 && started != rank.world) {
    const bool by_slurm = by_mpirun <= 0 && by_step > 1;
    findings.push_back(
        {.severity = Severity::error,
         .code = "singletons",
         .text = fmt::format(
             "{} processes were started and this world has {} rank{}: rank {} is {}, and {}",
             started, rank.world, rank.world == 1 ? "" : "s", rank.rank, task_of(rank, started),
             rank.world == 1 ? "each computes by itself" : "the rest is elsewhere"),
         .remedy = by_slurm
                       ? fmt::format("start with {}", mpi_flag(rank))
                       : fmt::format("start with the mpirun of the MPI that Tutti was built with "
                                     "({}); under Slurm with {}",
                                     rank.mpi.substr(0, rank.mpi.find(',')), mpi_flag(rank)),
         .ranks = {rank.rank}});
    return;
  }
  const int allocated = number_in(rank, "SLURM_NTASKS");
  if (rank.world == 1 && started < 1 && allocated > 1) {
    findings.push_back(
        {.severity = Severity::warning,
         .code = "no-launcher",
         .text = fmt::format("the allocation has {} tasks, this is one process that no launcher "
                             "started",
                             allocated),
         .remedy = fmt::format("start the job, and this, with mpirun or {}", mpi_flag(rank)),
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
