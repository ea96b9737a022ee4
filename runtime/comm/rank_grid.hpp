// Which rank of the world does what: replicas of the model, pipeline stages of a replica,
// tensor-parallel ranks of a stage. Pure; equal on every rank that computes it.
#pragma once

#include <optional>
#include <span>
#include <vector>

namespace tutti {

struct GridShape {
  int replicas = 1;
  int stages = 1;        // pipeline stages of one replica
  int tensor_ranks = 1;  // ranks of one tensor-parallel group
};

struct GridPlace {
  int replica = 0;
  int stage = 0;
  int tensor_rank = 0;

  friend bool operator==(const GridPlace&, const GridPlace&) = default;
};

// A group's ranks share a node wherever one has room for a whole group: each node's ranks, in
// order, fill whole groups first, and what is left over on the nodes is put together, node by node.
// Groups are numbered by their lowest rank: rank 0 is always replica 0, stage 0, tensor rank 0.
class RankGrid {
 public:
  // node_of_rank[r]: any number that is equal for ranks of one node. Throws ConfigError where the
  // shape has another number of ranks than the world.
  RankGrid(const GridShape& shape, std::span<const int> node_of_rank);

  const GridShape& shape() const { return shape_; }
  int world_size() const { return static_cast<int>(places_.size()); }

  GridPlace place(int rank) const { return places_.at(static_cast<std::size_t>(rank)); }
  // The world's rank at this place.
  int rank_at(const GridPlace& place) const;
  // replica * stages + stage: the number of the tensor-parallel group.
  int group_index(const GridPlace& place) const;
  // World ranks of a tensor-parallel group, by tensor rank.
  std::vector<int> tensor_group(int replica, int stage) const;
  // World ranks that pass activations on to one another, by stage.
  std::vector<int> pipeline(int replica, int tensor_rank) const;

 private:
  GridShape shape_;
  std::vector<std::vector<int>> groups_;  // [replicas * stages][tensor_ranks]
  std::vector<GridPlace> places_;         // by world rank
};

bool on_one_node(std::span<const int> node_of_rank);

// Where a rank stands in a group that has as many ranks on each of several nodes.
struct NodePlace {
  int nodes = 0;
  int ranks = 0;  // on each
  int node = 0;   // nodes in order of their lowest rank
  int place = 0;  // among the node's ranks

  friend bool operator==(const NodePlace&, const NodePlace&) = default;
};

// Empty where the group is on one node, has other numbers of ranks on other nodes, or one on each:
// there is nothing to join within the nodes first.
std::optional<NodePlace> place_among_nodes(std::span<const int> node_of_rank, int rank);

}  // namespace tutti
