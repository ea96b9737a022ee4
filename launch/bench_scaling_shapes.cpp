// Which counts are run, and which ranks stand together in each.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "launch/bench_scaling.hpp"

namespace tutti {

std::string ScalingShape::name() const {
  return replicas == 1 ? fmt::to_string(ranks) : fmt::format("{} x {}", replicas, ranks);
}

std::vector<ScalingShape> scaling_shapes(const ScalingOptions& options, int world) {
  std::vector<int> counts = options.counts;
  if (counts.empty()) {
    counts.resize(static_cast<std::size_t>(world));
    std::iota(counts.begin(), counts.end(), 1);
  }
  std::vector<ScalingShape> shapes;
  for (const int count : counts) {
    if (count > world) {
      throw UsageError(fmt::format("--counts wants {} ranks, there {}: mpirun -n {} tutti bench …",
                                   count, world == 1 ? "is 1" : fmt::format("are {}", world),
                                   count));
    }
    shapes.push_back({.ranks = count, .replicas = 1});
    if (options.replicas && world / count > 1) {
      shapes.push_back({.ranks = count, .replicas = world / count});
    }
  }
  return shapes;
}

std::vector<int> scaling_groups(const std::vector<int>& node_of_rank, const ScalingShape& shape) {
  std::map<int, std::vector<std::size_t>> nodes;
  for (std::size_t rank = 0; rank < node_of_rank.size(); ++rank) {
    nodes[node_of_rank[rank]].push_back(rank);
  }
  // Each node's ranks fill whole groups first, then come those that are left. Where even node 0
  // has too few for a group, the ranks are taken as they come, node by node.
  const auto size = static_cast<std::size_t>(shape.ranks);
  const bool whole = nodes.at(node_of_rank.at(0)).size() >= size;
  std::vector<std::size_t> order;
  std::vector<std::size_t> left;
  for (const auto& [node, members] : nodes) {
    const std::size_t filled = whole ? members.size() / size * size : members.size();
    const auto middle = members.begin() + static_cast<std::ptrdiff_t>(filled);
    order.insert(order.end(), members.begin(), middle);
    left.insert(left.end(), middle, members.end());
  }
  order.insert(order.end(), left.begin(), left.end());
  std::vector<int> groups(node_of_rank.size(), -1);
  for (std::size_t i = 0; i < static_cast<std::size_t>(shape.all_ranks()); ++i) {
    groups.at(order.at(i)) = static_cast<int>(i / size);
  }
  return groups;
}

}  // namespace tutti
