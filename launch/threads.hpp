// How many threads a rank runs: what its affinity mask allows, shared fairly with the ranks beside
// it, and never more.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace tutti {

// What one rank of a node may use.
struct RankCpus {
  std::vector<int> allowed;  // CPU numbers of its affinity mask, ascending
  int wanted = 0;            // --threads; 0: choose
};

struct ThreadChoice {
  int threads = 1;
  std::string warning;  // empty where all is well
};

// Affinity mask of this process; at least one CPU.
std::vector<int> allowed_cpus();
// "0-3,8": CPU numbers, runs folded.
std::string cpu_list(const std::vector<int>& cpus);
// CPUs of the node that are switched on.
int online_cpus();

// For rank `mine` of the ranks of one node. Pure. Ranks that share CPUs divide them, the first ones
// get the rest of the division. The warning names the remedy where the launcher bound ranks to
// fewer CPUs than the node has idle, or where --threads is more than there is.
ThreadChoice choose_threads(std::span<const RankCpus> node, std::size_t mine, int online);

}  // namespace tutti
