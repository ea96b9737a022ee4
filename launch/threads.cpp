#include "launch/threads.hpp"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <set>

namespace tutti {

std::vector<int> allowed_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cpus;
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(static_cast<std::size_t>(cpu), &set)) {
        cpus.push_back(cpu);
      }
    }
  }
  if (cpus.empty()) {
    cpus.push_back(0);
  }
  return cpus;
}

std::string cpu_list(const std::vector<int>& cpus) {
  std::vector<std::string> runs;
  for (std::size_t i = 0; i < cpus.size();) {
    std::size_t last = i;
    while (last + 1 < cpus.size() && cpus[last + 1] == cpus[last] + 1) {
      ++last;
    }
    runs.push_back(i == last ? fmt::format("{}", cpus[i])
                             : fmt::format("{}-{}", cpus[i], cpus[last]));
    i = last + 1;
  }
  return fmt::format("{}", fmt::join(runs, ","));
}

int online_cpus() {
  return std::max(1, static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)));
}

ThreadChoice choose_threads(std::span<const RankCpus> node, std::size_t mine, int online) {
  const RankCpus& self = node[mine];
  // Ranks with the same mask divide it; masks of launchers are equal or apart.
  int sharers = 0;
  int before = 0;
  std::set<int> in_use;
  for (std::size_t i = 0; i < node.size(); ++i) {
    in_use.insert(node[i].allowed.begin(), node[i].allowed.end());
    if (node[i].allowed == self.allowed) {
      ++sharers;
      before += i < mine ? 1 : 0;
    }
  }
  const int cpus = static_cast<int>(self.allowed.size());
  const int fair = std::max(1, cpus / sharers + (before < cpus % sharers ? 1 : 0));
  ThreadChoice choice{.threads = self.wanted > 0 ? self.wanted : fair, .warning = {}};
  const int idle = online - static_cast<int>(in_use.size());
  if (self.wanted > cpus) {
    choice.warning = fmt::format(
        "--threads {} is more than the {} CPU{} this rank may use: it will be slow; under mpirun "
        "use '--bind-to none'",
        self.wanted, cpus, cpus == 1 ? "" : "s");
  } else if (idle > 0 && cpus == 1) {
    choice.warning = fmt::format(
        "each rank is bound to one CPU and {} of the node's {} stay idle: use 'mpirun --bind-to "
        "none …' or '--map-by ppr:{}:node:PE={}'; under srun '-c {}'",
        idle, online, node.size(), std::max<int>(1, online / static_cast<int>(node.size())),
        std::max<int>(1, online / static_cast<int>(node.size())));
  }
  return choice;
}

}  // namespace tutti
