// Sums over nodes of threads: which level a message takes, and that all come to the same.
#include "runtime/comm/hierarchical_communicator.hpp"

#include <gmock/gmock.h>

#include <numeric>

#include "kernels/error.hpp"
#include "runtime/comm/rank_grid.hpp"
#include "runtime/comm/thread_group.hpp"
#include "tests/support/fault_communicator.hpp"

namespace tutti {
namespace {

constexpr Fault kNoFault{.rank = -1};
constexpr std::size_t kSmall = 64;  // bytes

struct Nodes {
  int nodes, ranks;
};

void PrintTo(const Nodes& nodes, std::ostream* out) {
  *out << nodes.nodes << " nodes of " << nodes.ranks;
}

// Ranks lie node by node. Each level's communicator counts what goes by it.
class HierarchicalTest : public ::testing::TestWithParam<Nodes> {
 protected:
  struct Counted {
    FaultCommunicator* node;
    FaultCommunicator* between;
    FaultCommunicator* all;
  };

  int ranks() const { return GetParam().nodes * GetParam().ranks; }

  void run(const std::function<void(int rank, Communicator& group, const Counted& levels)>& fn) {
    std::vector<int> node_of_rank;
    std::vector<std::unique_ptr<ThreadGroup>> nodes, places;
    for (int rank = 0; rank < ranks(); ++rank) {
      node_of_rank.push_back(rank / GetParam().ranks);
    }
    for (int node = 0; node < GetParam().nodes; ++node) {
      nodes.push_back(std::make_unique<ThreadGroup>(GetParam().ranks));
    }
    for (int place = 0; place < GetParam().ranks; ++place) {
      places.push_back(std::make_unique<ThreadGroup>(GetParam().nodes));
    }
    run_ranks(ranks(), [&](int rank, Communicator& all, ControlPlane&) {
      const NodePlace own = place_among_nodes(node_of_rank, rank).value();
      const auto at = [](auto& groups, int index) -> ThreadGroup& {
        return *groups.at(static_cast<std::size_t>(index));
      };
      auto node = std::make_unique<FaultCommunicator>(at(nodes, own.node).communicator(own.place),
                                                      kNoFault);
      auto between = std::make_unique<FaultCommunicator>(
          at(places, own.place).communicator(own.node), kNoFault);
      auto whole = std::make_unique<FaultCommunicator>(all, kNoFault);
      const Counted levels{node.get(), between.get(), whole.get()};
      HierarchicalCommunicator group("levels", {nullptr, std::move(node)},
                                     {nullptr, std::move(between)}, {nullptr, std::move(whole)},
                                     kSmall);
      ASSERT_EQ(group.rank(), rank);
      ASSERT_EQ(group.size(), ranks());
      ASSERT_EQ(group.name(), "levels");
      fn(rank, group, levels);
      group.close();
    });
  }
};

TEST_P(HierarchicalTest, SmallSumsGoWithinNodesThenBetweenThem) {
  const int n = ranks();
  run([&](int rank, Communicator& group, const Counted& levels) {
    for (const std::int64_t columns :
         {std::int64_t{1}, std::int64_t{16}, std::int64_t{17}, std::int64_t{1000}}) {
      std::vector<float> x(static_cast<std::size_t>(columns));
      std::iota(x.begin(), x.end(), static_cast<float>(1000 * rank));
      group.all_reduce_sum({}, {x.data(), DType::f32, Place::host, {1, columns}});
      for (std::int64_t i = 0; i < columns; ++i) {
        ASSERT_EQ(x[static_cast<std::size_t>(i)],
                  static_cast<float>(n * i + 1000 * n * (n - 1) / 2))
            << columns << " columns, column " << i;
      }
    }
    EXPECT_EQ(levels.node->calls(), 2u);
    EXPECT_EQ(levels.between->calls(), 2u);
    EXPECT_EQ(levels.all->calls(), 2u);
  });
}

TEST_P(HierarchicalTest, TheResidualIsAddedOnceAndNormalised) {
  const int n = ranks();
  run([&](int rank, Communicator& group, const Counted& levels) {
    for (const std::int64_t tokens : {std::int64_t{1}, std::int64_t{40}}) {
      const std::int64_t dim = 4;
      const auto elements = static_cast<std::size_t>(tokens * dim);
      std::vector<float> x(elements, static_cast<float>(rank + 1));
      std::vector<float> residual(elements, 2.0f);
      std::vector<float> y(elements);
      std::vector<float> weight(static_cast<std::size_t>(dim), 3.0f);
      const auto matrix = [&](std::vector<float>& values) {
        return TensorView(values.data(), DType::f32, Place::host, {tokens, dim});
      };
      group.all_reduce_add_rmsnorm({}, {.x = matrix(x),
                                        .residual = matrix(residual),
                                        .weight = {weight.data(), DType::f32, Place::host, {dim}},
                                        .eps = 0,
                                        .y = matrix(y)});
      for (std::size_t i = 0; i < elements; ++i) {
        ASSERT_EQ(residual[i], static_cast<float>(2 + n * (n + 1) / 2));
        ASSERT_FLOAT_EQ(y[i], 3.0f);  // all are equal: each is its own root mean square
      }
    }
    EXPECT_EQ(levels.node->calls(), 1u);
    EXPECT_EQ(levels.between->calls(), 1u);
    EXPECT_EQ(levels.all->calls(), 1u);
  });
}

TEST_P(HierarchicalTest, GathersAreTheWholeGroups) {
  const int n = ranks();
  run([&](int rank, Communicator& group, const Counted& levels) {
    std::vector<float> local(2, static_cast<float>(rank));
    const std::vector<std::int64_t> columns(static_cast<std::size_t>(n), 2);
    std::vector<float> y(static_cast<std::size_t>(2 * n));
    group.all_gather_columns({}, {local.data(), DType::f32, Place::host, {1, 2}}, columns,
                             {y.data(), DType::f32, Place::host, {1, 2 * n}});
    for (int i = 0; i < 2 * n; ++i) {
      EXPECT_EQ(y[static_cast<std::size_t>(i)], static_cast<float>(i / 2));
    }
    EXPECT_EQ(levels.all->calls(), 1u);
    EXPECT_EQ(levels.node->calls() + levels.between->calls(), 0u);
  });
}

INSTANTIATE_TEST_SUITE_P(Shapes, HierarchicalTest,
                         ::testing::Values(Nodes{2, 2}, Nodes{2, 3}, Nodes{3, 2}, Nodes{4, 4}));

}  // namespace
}  // namespace tutti
