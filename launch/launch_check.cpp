#include "launch/launch_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>

#include "kernels/error.hpp"
#include "launch/output.hpp"
#include "runtime/comm/mpi_session.hpp"

namespace tutti {
namespace {

constexpr std::array<const char*, 7> kNames = {
    "OMPI_COMM_WORLD_SIZE", "PMI_SIZE",     "PMI_RANK",     "SLURM_STEP_NUM_TASKS",
    "SLURM_NTASKS",         "SLURM_PROCID", "SLURM_STEP_ID"};

// -1 where it is not set or no number.
int number_in(const Environment& environment, const char* name) {
  const auto at = environment.find(name);
  if (at == environment.end()) {
    return -1;
  }
  int number = -1;
  const std::string& text = at->second;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  return parsed.ec == std::errc() ? number : -1;
}

std::string mpi_flag(const std::string& mpi) {
  if (mpi.find("Open MPI") != std::string::npos) {
    return "srun --mpi=pmix (or export SLURM_MPI_TYPE=pmix; srun --mpi=list shows what there is)";
  }
  return "srun --mpi=pmi2 or --mpi=pmix, as this MPI was built for (srun --mpi=list shows what "
         "there is)";
}

std::string task_text(int task, int started, const std::string& host) {
  return task >= 0 ? fmt::format("task {} of {} on {}", task, started, host)
                   : fmt::format("one of {} processes on {}", started, host);
}

}  // namespace

Environment launch_environment() {
  Environment found;
  for (const char* name : kNames) {
    if (const char* value = std::getenv(name)) {
      found.emplace(name, value);
    }
  }
  return found;
}

std::optional<WrongWorld> find_wrong_world(const Environment& environment,
                                           const WorldFacts& facts) {
  // mpirun starts its daemons by srun: there SLURM_STEP_NUM_TASKS counts nodes.
  const int by_mpirun = number_in(environment, "OMPI_COMM_WORLD_SIZE");
  const int by_pmi = number_in(environment, "PMI_SIZE");
  const int by_step = number_in(environment, "SLURM_STEP_NUM_TASKS");
  const int started = by_mpirun > 0 ? by_mpirun : by_pmi > 0 ? by_pmi : by_step;
  if (started > 1 && started != facts.world) {
    const int task =
        std::max(number_in(environment, "SLURM_PROCID"), number_in(environment, "PMI_RANK"));
    const bool by_slurm = by_mpirun <= 0 && by_step > 1;
    return WrongWorld{
        .kind = WrongWorld::Kind::other_size,
        .task = task,
        .text = fmt::format(
            "{} processes were started and this world has {} rank{}: rank {} is {}, and {}",
            started, facts.world, facts.world == 1 ? "" : "s", facts.rank,
            task_text(task, started, facts.host),
            facts.world == 1 ? "each computes by itself" : "the rest is elsewhere"),
        .remedy = by_slurm
                      ? fmt::format("start with {}", mpi_flag(facts.mpi))
                      : fmt::format("start with the mpirun of the MPI that Tutti was built with "
                                    "({}); under Slurm with {}",
                                    facts.mpi.substr(0, facts.mpi.find(',')), mpi_flag(facts.mpi))};
  }
  const int allocated = number_in(environment, "SLURM_NTASKS");
  if (facts.world == 1 && started < 1 && allocated > 1) {
    return WrongWorld{
        .kind = WrongWorld::Kind::no_launcher,
        .text = fmt::format(
            "the allocation has {} tasks, this is one process that no launcher started", allocated),
        .remedy = fmt::format("start the job, and this, with mpirun or {}", mpi_flag(facts.mpi))};
  }
  return std::nullopt;
}

void require_one_world(const MpiSession& mpi, bool alone) {
  if (alone || mpi.size() > 1) {
    return;  // a world of several was put together by somebody who knew how
  }
  const auto wrong = find_wrong_world(launch_environment(), {.rank = mpi.rank(),
                                                             .world = mpi.size(),
                                                             .host = mpi.host(),
                                                             .mpi = MpiSession::library_version()});
  if (!wrong) {
    return;
  }
  if (wrong->kind == WrongWorld::Kind::no_launcher) {
    write_message(fmt::format("tutti: warning: {}; {}\n", wrong->text, wrong->remedy));
    return;
  }
  if (wrong->task > 0) {  // all find the same: one says it at length
    throw ConfigError(
        fmt::format("task {} is a world of its own too: see what task 0 says", wrong->task));
  }
  throw ConfigError(
      fmt::format("{}, wanted one world of them all: {}; --alone where each process "
                  "is to run a model by itself",
                  wrong->text, wrong->remedy));
}

}  // namespace tutti
