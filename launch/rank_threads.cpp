#include "launch/rank_threads.hpp"

#include <cstring>
#include <utility>

namespace tutti {
namespace {

std::vector<RankCpus> cpus_of_node(ControlPlane& control, const MpiRanks& ranks, int wanted) {
  std::vector<int> mine = allowed_cpus();
  mine.push_back(wanted);
  const auto all = control.all_gather(std::as_bytes(std::span(mine)));
  std::vector<RankCpus> node;
  const std::vector<int>& nodes = ranks.node_of_rank();
  for (std::size_t rank = 0; rank < all.size(); ++rank) {
    if (nodes[rank] == nodes[static_cast<std::size_t>(ranks.rank())]) {
      std::vector<int> cpus(all[rank].size() / sizeof(int));
      std::memcpy(cpus.data(), all[rank].data(), all[rank].size());
      const int asked = cpus.back();
      cpus.pop_back();
      node.push_back({.allowed = std::move(cpus), .wanted = asked});
    }
  }
  return node;
}

}  // namespace

ThreadChoice threads_of_rank(ControlPlane& control, const MpiRanks& ranks, int wanted) {
  const std::vector<RankCpus> node = cpus_of_node(control, ranks, wanted);
  return choose_threads(node, static_cast<std::size_t>(ranks.node_rank()), online_cpus());
}

}  // namespace tutti
