#include "runtime/comm/rank_grid.hpp"

#include <gmock/gmock.h>

#include <set>
#include <string>

#include "kernels/error.hpp"

namespace tutti {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(RankGrid, OneGroupIsTheWorldInOrder) {
  const std::vector<int> nodes = {0, 0, 0};
  const RankGrid grid({.tensor_ranks = 3}, nodes);
  EXPECT_THAT(grid.tensor_group(0, 0), ElementsAre(0, 1, 2));
  EXPECT_EQ(grid.place(2), (GridPlace{.tensor_rank = 2}));
}

TEST(RankGrid, GroupsStayOnTheirNodesWhenRanksAreDealtRoundRobin) {
  const std::vector<int> nodes = {7, 3, 7, 3, 7, 3, 7, 3};
  const RankGrid grid({.replicas = 2, .tensor_ranks = 4}, nodes);
  EXPECT_THAT(grid.tensor_group(0, 0), ElementsAre(0, 2, 4, 6));
  EXPECT_THAT(grid.tensor_group(1, 0), ElementsAre(1, 3, 5, 7));
  EXPECT_EQ(grid.place(3), (GridPlace{.replica = 1, .tensor_rank = 1}));
}

TEST(RankGrid, WhatIsLeftOnNodesMakesGroupsTogether) {
  // 3 + 3 ranks, groups of 2: one whole group a node, the last one spans both.
  const std::vector<int> nodes = {0, 0, 0, 1, 1, 1};
  const RankGrid grid({.replicas = 3, .tensor_ranks = 2}, nodes);
  EXPECT_THAT(grid.tensor_group(0, 0), ElementsAre(0, 1));
  EXPECT_THAT(grid.tensor_group(1, 0), ElementsAre(2, 5));
  EXPECT_THAT(grid.tensor_group(2, 0), ElementsAre(3, 4));
}

TEST(RankGrid, UnevenNodesKeepAsManyGroupsWholeAsTheyCan) {
  const std::vector<int> nodes = {0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2};
  const RankGrid grid({.replicas = 3, .tensor_ranks = 4}, nodes);
  EXPECT_THAT(grid.tensor_group(0, 0), ElementsAre(0, 1, 2, 7));
  EXPECT_THAT(grid.tensor_group(1, 0), ElementsAre(3, 4, 5, 6));
  EXPECT_THAT(grid.tensor_group(2, 0), ElementsAre(8, 9, 10, 11));
}

TEST(RankGrid, AGroupLargerThanANodeTakesWholeNodes) {
  const std::vector<int> nodes = {0, 1, 0, 1};
  const RankGrid grid({.tensor_ranks = 4}, nodes);
  EXPECT_THAT(grid.tensor_group(0, 0), ElementsAre(0, 2, 1, 3));
}

TEST(RankGrid, PipelinesRunThroughTheStagesOfOneReplica) {
  const std::vector<int> nodes(12, 0);
  const RankGrid grid({.replicas = 2, .stages = 3, .tensor_ranks = 2}, nodes);
  EXPECT_THAT(grid.pipeline(1, 1), ElementsAre(7, 9, 11));
  EXPECT_EQ(grid.group_index({.replica = 1, .stage = 2}), 5);
}

TEST(RankGrid, PlaceAndRankAreInverseForEveryShape) {
  for (int replicas = 1; replicas <= 3; ++replicas) {
    for (int stages = 1; stages <= 3; ++stages) {
      for (int size = 1; size <= 5; ++size) {
        const int world = replicas * stages * size;
        std::vector<int> nodes;
        for (int rank = 0; rank < world; ++rank) {
          nodes.push_back(rank * 7 % 4);
        }
        const RankGrid grid({.replicas = replicas, .stages = stages, .tensor_ranks = size}, nodes);
        EXPECT_EQ(grid.place(0), GridPlace{});
        std::set<int> seen;
        for (int rank = 0; rank < world; ++rank) {
          const GridPlace place = grid.place(rank);
          EXPECT_EQ(grid.rank_at(place), rank);
          EXPECT_EQ(grid.tensor_group(place.replica, place.stage)
                        .at(static_cast<std::size_t>(place.tensor_rank)),
                    rank);
          seen.insert(grid.group_index(place) * size + place.tensor_rank);
        }
        EXPECT_EQ(static_cast<int>(seen.size()), world);
      }
    }
  }
}

TEST(RankGrid, AShapeThatIsNotTheWorldIsRefused) {
  const std::vector<int> nodes(6, 0);
  EXPECT_THROW(RankGrid({.tensor_ranks = 0}, nodes), ConfigError);
  EXPECT_THROW(RankGrid({.replicas = 1 << 30, .stages = 1 << 30, .tensor_ranks = 16}, nodes),
               ConfigError);
  try {
    const RankGrid grid({.replicas = 2, .tensor_ranks = 4}, nodes);
    FAIL() << "no error";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr("2 replicas x 1 stages x 4 ranks"));
    EXPECT_THAT(error.what(), HasSubstr("6 ranks"));
  }
}

TEST(PlaceAmongNodes, CountsPlacesOnEachNode) {
  const std::vector<int> nodes = {5, 3, 5, 3, 5, 3};
  EXPECT_EQ(place_among_nodes(nodes, 0),
            (NodePlace{.nodes = 2, .ranks = 3, .node = 0, .place = 0}));
  EXPECT_EQ(place_among_nodes(nodes, 3),
            (NodePlace{.nodes = 2, .ranks = 3, .node = 1, .place = 1}));
  EXPECT_EQ(place_among_nodes(nodes, 4),
            (NodePlace{.nodes = 2, .ranks = 3, .node = 0, .place = 2}));
  EXPECT_THROW(place_among_nodes(nodes, 6), ConfigError);
}

TEST(OnOneNode, KnowsNodesByAnyNumber) {
  EXPECT_TRUE(on_one_node(std::vector{7}));
  EXPECT_TRUE(on_one_node(std::vector{7, 7, 7}));
  EXPECT_FALSE(on_one_node(std::vector{7, 7, 3}));
}

TEST(PlaceAmongNodes, IsNoneWhereNothingIsToBeJoinedWithinNodes) {
  for (const std::vector<int>& nodes : {std::vector{0}, std::vector{0, 0, 0}, std::vector{0, 1},
                                        std::vector{0, 0, 1}, std::vector{0, 0, 1, 2}}) {
    EXPECT_EQ(place_among_nodes(nodes, 0), std::nullopt);
  }
}

}  // namespace
}  // namespace tutti
