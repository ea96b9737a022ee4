#include "runtime/comm/rank_grid.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/error.hpp"

namespace tutti {
namespace {

using Ranks = std::vector<int>;

// The ranks of each node, nodes in order of their lowest rank.
std::vector<Ranks> ranks_by_node(std::span<const int> node_of_rank) {
  std::vector<int> nodes;
  std::vector<Ranks> result;
  for (std::size_t rank = 0; rank < node_of_rank.size(); ++rank) {
    const auto at = std::find(nodes.begin(), nodes.end(), node_of_rank[rank]);
    const auto index = static_cast<std::size_t>(at - nodes.begin());
    if (at == nodes.end()) {
      nodes.push_back(node_of_rank[rank]);
      result.emplace_back();
    }
    result[index].push_back(static_cast<int>(rank));
  }
  return result;
}

// Cuts whole groups off the front of `ranks`; returns what is left.
Ranks cut_groups(const Ranks& ranks, int size, std::vector<Ranks>& groups) {
  auto at = ranks.begin();
  while (ranks.end() - at >= size) {
    groups.emplace_back(at, at + size);
    at += size;
  }
  return {at, ranks.end()};
}

void check_shape(const GridShape& shape, std::size_t world) {
  if (shape.replicas < 1 || shape.stages < 1 || shape.tensor_ranks < 1) {
    throw ConfigError(fmt::format(
        "rank grid: wants at least 1 replica, 1 stage and 1 rank a group, found {}, {} and {}",
        shape.replicas, shape.stages, shape.tensor_ranks));
  }
  const std::int64_t limit = static_cast<std::int64_t>(world);
  const std::int64_t wanted = shape.replicas > limit || shape.stages > limit
                                  ? limit + 1
                                  : std::int64_t{shape.replicas} * shape.stages;
  if (wanted > limit || wanted * shape.tensor_ranks != limit) {
    throw ConfigError(
        fmt::format("rank grid: {} replicas x {} stages x {} ranks a group do not make the {} "
                    "ranks of this run",
                    shape.replicas, shape.stages, shape.tensor_ranks, world));
  }
}

}  // namespace

RankGrid::RankGrid(const GridShape& shape, std::span<const int> node_of_rank) : shape_(shape) {
  check_shape(shape, node_of_rank.size());
  Ranks left;
  for (const Ranks& ranks : ranks_by_node(node_of_rank)) {
    const Ranks rest = cut_groups(ranks, shape.tensor_ranks, groups_);
    left.insert(left.end(), rest.begin(), rest.end());
  }
  cut_groups(left, shape.tensor_ranks, groups_);
  std::sort(groups_.begin(), groups_.end(), [](const Ranks& a, const Ranks& b) {
    return *std::min_element(a.begin(), a.end()) < *std::min_element(b.begin(), b.end());
  });
  places_.resize(node_of_rank.size());
  for (std::size_t group = 0; group < groups_.size(); ++group) {
    for (std::size_t i = 0; i < groups_[group].size(); ++i) {
      places_[static_cast<std::size_t>(groups_[group][i])] = {
          .replica = static_cast<int>(group) / shape.stages,
          .stage = static_cast<int>(group) % shape.stages,
          .tensor_rank = static_cast<int>(i)};
    }
  }
}

int RankGrid::rank_at(const GridPlace& place) const {
  return groups_.at(static_cast<std::size_t>(group_index(place)))
      .at(static_cast<std::size_t>(place.tensor_rank));
}

int RankGrid::group_index(const GridPlace& place) const {
  return place.replica * shape_.stages + place.stage;
}

std::vector<int> RankGrid::tensor_group(int replica, int stage) const {
  return groups_.at(static_cast<std::size_t>(group_index({.replica = replica, .stage = stage})));
}

std::vector<int> RankGrid::pipeline(int replica, int tensor_rank) const {
  std::vector<int> ranks;
  ranks.reserve(static_cast<std::size_t>(shape_.stages));
  for (int stage = 0; stage < shape_.stages; ++stage) {
    ranks.push_back(rank_at({.replica = replica, .stage = stage, .tensor_rank = tensor_rank}));
  }
  return ranks;
}

bool on_one_node(std::span<const int> node_of_rank) {
  return std::all_of(node_of_rank.begin(), node_of_rank.end(),
                     [&](int node) { return node == node_of_rank.front(); });
}

std::optional<NodePlace> place_among_nodes(std::span<const int> node_of_rank, int rank) {
  const std::vector<Ranks> nodes = ranks_by_node(node_of_rank);
  const bool even = std::all_of(nodes.begin(), nodes.end(), [&](const Ranks& ranks) {
    return ranks.size() == nodes.front().size();
  });
  if (nodes.size() < 2 || !even || nodes.front().size() < 2) {
    return std::nullopt;
  }
  NodePlace own{.nodes = static_cast<int>(nodes.size()),
                .ranks = static_cast<int>(nodes.front().size())};
  for (const Ranks& ranks : nodes) {
    const auto at = std::find(ranks.begin(), ranks.end(), rank);
    if (at != ranks.end()) {
      own.place = static_cast<int>(at - ranks.begin());
      return own;
    }
    ++own.node;
  }
  throw ConfigError(fmt::format("rank {} is none of the group's {}", rank, node_of_rank.size()));
}

}  // namespace tutti
