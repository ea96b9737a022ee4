// Rules of `tutti doctor` about hosts: CPUs, limits, shared memory, clocks, time left; and about
// the networks between them.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "launch/doctor_diagnose.hpp"
#include "launch/progress.hpp"
#include "launch/threads.hpp"

namespace tutti {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

std::map<int, std::vector<const RankReport*>> nodes_of(const Examination& found) {
  std::map<int, std::vector<const RankReport*>> nodes;
  for (const RankReport& rank : found.ranks) {
    nodes[rank.node].push_back(&rank);
  }
  return nodes;
}

void find_narrow_binding(const Examination& found, std::vector<Finding>& findings) {
  for (const auto& [node, ranks] : nodes_of(found)) {
    std::vector<RankCpus> cpus;
    std::vector<int> numbers;
    for (const RankReport* rank : ranks) {
      cpus.push_back({.allowed = rank->cpus, .wanted = 0});
      numbers.push_back(rank->rank);
    }
    const ThreadChoice choice = choose_threads(cpus, 0, ranks.front()->online_cpus);
    if (!choice.warning.empty()) {
      const std::size_t colon = choice.warning.find(": use ");
      findings.push_back(
          {.severity = Severity::warning,
           .code = "cpu-binding",
           .text = fmt::format("{}: {}", who(found, numbers), choice.warning.substr(0, colon)),
           .remedy = colon == std::string::npos ? "mpirun --bind-to none"
                                                : choice.warning.substr(colon + 2),
           .ranks = numbers});
    }
    std::set<int> all;
    for (const RankReport* rank : ranks) {
      all.insert(rank->cpus.begin(), rank->cpus.end());
    }
    if (all.size() < ranks.size()) {
      findings.push_back({.severity = Severity::warning,
                          .code = "few-cpus",
                          .text = fmt::format("{} share {} CPU{}", who(found, numbers), all.size(),
                                              all.size() == 1 ? "" : "s"),
                          .remedy = "fewer ranks on that host, or more CPUs for each (srun -c N, "
                                    "mpirun --bind-to none)",
                          .ranks = numbers});
    }
  }
}

// Slurm 22.05 to 23.02: srun does not take over the batch script's --cpus-per-task.
void find_lost_cpus(const Examination& found, std::vector<Finding>& findings) {
  std::vector<int> numbers;
  std::size_t asked = 0;
  for (const RankReport& rank : found.ranks) {
    const auto at = rank.environment.find("SLURM_CPUS_PER_TASK");
    if (at == rank.environment.end() || at->second.empty() || at->second.size() > 6 ||
        at->second.find_first_not_of("0123456789") != std::string::npos) {
      continue;
    }
    const std::size_t wanted = std::stoul(at->second);
    if (wanted > rank.cpus.size()) {
      numbers.push_back(rank.rank);
      asked = wanted;
    }
  }
  if (!numbers.empty()) {
    findings.push_back({.severity = Severity::warning,
                        .code = "lost-cpus",
                        .text = fmt::format("{} asked for {} CPUs each and may use fewer",
                                            who(found, numbers), asked),
                        .remedy = "srun -c $SLURM_CPUS_PER_TASK (or export SRUN_CPUS_PER_TASK); "
                                  "under mpirun --bind-to none",
                        .ranks = numbers});
  }
}

// Open MPI 4.1.5 with PMIx 4.2.3 takes every rank for a node of its own (ompi issue 11585).
void find_split_hosts(const Examination& found, std::vector<Finding>& findings) {
  std::map<std::string, std::set<int>> nodes;
  std::map<std::string, std::vector<int>> numbers;
  for (const RankReport& rank : found.ranks) {
    nodes[rank.host].insert(rank.node);
    numbers[rank.host].push_back(rank.rank);
  }
  for (const auto& [host, seen] : nodes) {
    if (seen.size() > 1) {
      findings.push_back({.severity = Severity::warning,
                          .code = "split-host",
                          .text = fmt::format("{} have one host name and are {} nodes to MPI",
                                              who(found, numbers[host]), seen.size()),
                          .remedy = "another Open MPI or PMIx, unless they are containers: ranks "
                                    "that share a host would not share its memory and GPUs",
                          .ranks = numbers[host]});
    }
  }
}

void find_low_memlock(const Examination& found, std::vector<Finding>& findings) {
  constexpr std::int64_t kEnough = 64 << 20;
  std::vector<int> low;
  std::int64_t least = kEnough;
  for (const RankReport& rank : found.ranks) {
    const bool pins = rank.machine_has_gpus || !rank.fast_links.empty();
    if (pins && rank.memlock_bytes >= 0 && rank.memlock_bytes < kEnough) {
      low.push_back(rank.rank);
      least = std::min(least, rank.memlock_bytes);
    }
  }
  if (!low.empty()) {
    findings.push_back(
        {.severity = Severity::warning,
         .code = "memlock",
         .text = fmt::format("{} may lock {} KiB of memory only", who(found, low), least / 1024),
         .remedy = "RDMA and pinned copies want 'ulimit -l unlimited': limits.conf on the hosts, "
                   "and PropagateResourceLimitsExcept=MEMLOCK in slurm.conf",
         .ranks = low});
  }
}

void find_small_shm(const Examination& found, std::vector<Finding>& findings) {
  for (const auto& [node, ranks] : nodes_of(found)) {
    const RankReport& first = *ranks.front();
    const std::uint64_t wanted = 32 * kMiB * ranks.size();
    if (first.shm_free_bytes < wanted) {
      findings.push_back(
          {.severity = Severity::warning,
           .code = "shared-memory",
           .text = fmt::format("/dev/shm of {} has {} free of {}, {} ranks want about {}",
                               first.host, human_bytes(first.shm_free_bytes),
                               human_bytes(first.shm_bytes), ranks.size(), human_bytes(wanted)),
           .remedy = "in a container --shm-size=1g or --ipc=host; otherwise remove what earlier "
                     "jobs left there",
           .ranks = {first.rank}});
    }
    if (!first.shm_leftovers.empty()) {
      findings.push_back(
          {.severity = Severity::note,
           .code = "shared-memory-leftovers",
           .text = fmt::format("/dev/shm of {} holds {} old files of yours: {}{}", first.host,
                               first.shm_leftovers.size(), first.shm_leftovers.front(),
                               first.shm_leftovers.size() > 1 ? ", …" : ""),
           .remedy = "remove them if no job of yours runs there",
           .ranks = {first.rank}});
    }
  }
}

void find_clock_skew(const Examination& found, std::vector<Finding>& findings) {
  constexpr double kSeconds = 2;
  if (found.ranks.empty()) {
    return;
  }
  const double mine = found.ranks.front().clock;
  for (const auto& [node, ranks] : nodes_of(found)) {
    const double ahead = ranks.front()->clock - mine;
    if (ahead > kSeconds || ahead < -kSeconds) {
      findings.push_back(
          {.severity = Severity::warning,
           .code = "clock",
           .text = fmt::format("the clock of {} is {:.1f} s {} that of {}", ranks.front()->host,
                               ahead < 0 ? -ahead : ahead, ahead < 0 ? "behind" : "ahead of",
                               found.ranks.front().host),
           .remedy = "chrony or ntpd on that host: time limits and logs go by it",
           .ranks = {ranks.front()->rank}});
    }
  }
}

void find_time_left(const Examination& found, std::vector<Finding>& findings) {
  constexpr std::int64_t kShort = 600;
  for (const RankReport& rank : found.ranks) {
    if (rank.rank == 0 && rank.time_left >= 0) {
      findings.push_back(
          {.severity = rank.time_left < kShort ? Severity::warning : Severity::note,
           .code = "time-left",
           .text = fmt::format("the allocation ends in {}",
                               human_duration(static_cast<double>(rank.time_left))),
           .remedy = "a batch ends in order before that and goes on in the next job; --time asks "
                     "for more",
           .ranks = {rank.rank}});
    }
  }
}

}  // namespace

void find_host_faults(const Examination& found, std::vector<Finding>& findings) {
  find_narrow_binding(found, findings);
  find_lost_cpus(found, findings);
  find_split_hosts(found, findings);
  find_low_memlock(found, findings);
  find_small_shm(found, findings);
  find_clock_skew(found, findings);
  find_time_left(found, findings);
}

}  // namespace tutti
