// Collectives among threads: exact sums, uneven gathers, and no hang when a rank fails.
#include "runtime/comm/thread_group.hpp"

#include <gmock/gmock.h>

#include <atomic>
#include <cstring>
#include <numeric>
#include <random>
#include <set>
#include <string>

#include "kernels/error.hpp"
#include "runtime/comm/ordered_sum.hpp"

namespace tutti {
namespace {

using ::testing::HasSubstr;

TensorView matrix(std::vector<float>& values, std::int64_t rows, std::int64_t columns) {
  return {values.data(), DType::f32, Place::host, {rows, columns}};
}

class ThreadGroupSizes : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Ranks, ThreadGroupSizes, ::testing::Range(1, 10));

TEST_P(ThreadGroupSizes, SumsSmallIntegersExactly) {
  const int n = GetParam();
  run_ranks(n, [&](int rank, Communicator& comm, ControlPlane&) {
    ASSERT_EQ(comm.rank(), rank);
    ASSERT_EQ(comm.size(), n);
    for (const std::int64_t columns : {0, 1, 2, 7, 576, 5000}) {
      std::vector<float> x(static_cast<std::size_t>(3 * columns));
      for (std::size_t i = 0; i < x.size(); ++i) {
        x[i] = static_cast<float>(static_cast<int>(i % 1000) * (rank + 1));
      }
      comm.all_reduce_sum({}, matrix(x, 3, columns));
      for (std::size_t i = 0; i < x.size(); ++i) {
        ASSERT_EQ(x[i], static_cast<float>(static_cast<int>(i % 1000) * n * (n + 1) / 2)) << i;
      }
    }
  });
}

TEST_P(ThreadGroupSizes, SumsInRankOrderWithTheSameBitsEverywhere) {
  const int n = GetParam();
  const std::size_t count = 1234;
  std::vector<std::vector<float>> x(static_cast<std::size_t>(n), std::vector<float>(count));
  std::mt19937 random(7);
  for (auto& part : x) {
    for (float& value : part) {
      value = std::uniform_real_distribution<float>(-1e4f, 1e4f)(random);
    }
  }
  std::vector<float> wanted = x[0];
  for (std::size_t rank = 1; rank < x.size(); ++rank) {
    for (std::size_t i = 0; i < count; ++i) {
      wanted[i] += x[rank][i];
    }
  }
  run_ranks(n, [&](int rank, Communicator& comm, ControlPlane&) {
    comm.all_reduce_sum({}, matrix(x[static_cast<std::size_t>(rank)], 1, count));
  });
  for (const auto& sum : x) {
    EXPECT_EQ(std::memcmp(sum.data(), wanted.data(), count * sizeof(float)), 0);
  }
}

TEST_P(ThreadGroupSizes, GathersUnevenColumnsOnEachRoot) {
  const int n = GetParam();
  std::vector<std::int64_t> columns;
  for (int rank = 0; rank < n; ++rank) {
    columns.push_back((rank * 5) % 4);  // some ranks have none
  }
  const std::int64_t total = std::accumulate(columns.begin(), columns.end(), std::int64_t{0});
  run_ranks(n, [&](int rank, Communicator& comm, ControlPlane&) {
    const std::int64_t mine = columns[static_cast<std::size_t>(rank)];
    for (int root = 0; root < n; ++root) {
      // Both sides are slices of wider matrices.
      std::vector<float> wide(static_cast<std::size_t>(2 * (mine + 3)));
      const TensorView local = matrix(wide, 2, mine + 3).column_slice({1, 1 + mine});
      for (std::int64_t row = 0; row < 2; ++row) {
        for (std::int64_t column = 0; column < mine; ++column) {
          local.row<float>(row)[column] = static_cast<float>(100 * rank + 10 * row + column);
        }
      }
      std::vector<float> result(static_cast<std::size_t>(2 * (total + 2)), -1.0f);
      const TensorView y = matrix(result, 2, total + 2).column_slice({0, total});
      comm.gather_columns({}, local, columns, rank == root ? y : TensorView{}, root);
      std::vector<float> wanted(result.size(), -1.0f);
      for (std::int64_t row = 0; row < 2 && rank == root; ++row) {
        auto at = wanted.begin() + row * (total + 2);
        for (int from = 0; from < n; ++from) {
          for (std::int64_t column = 0; column < columns[static_cast<std::size_t>(from)];
               ++column) {
            *at++ = static_cast<float>(100 * from + 10 * row + column);
          }
        }
      }
      ASSERT_EQ(result, wanted) << "root " << root;
    }
  });
}

TEST_P(ThreadGroupSizes, GathersUnevenColumnsOnEveryRank) {
  const int n = GetParam();
  std::vector<std::int64_t> columns;
  std::vector<float> wanted;
  for (int rank = 0; rank < n; ++rank) {
    columns.push_back((rank * 5) % 4);
    for (std::int64_t column = 0; column < columns.back(); ++column) {
      wanted.push_back(static_cast<float>(100 * rank + column));
    }
  }
  const auto total = static_cast<std::int64_t>(wanted.size());
  run_ranks(n, [&](int rank, Communicator& comm, ControlPlane&) {
    const std::int64_t mine = columns[static_cast<std::size_t>(rank)];
    std::vector<float> local(static_cast<std::size_t>(mine));
    std::iota(local.begin(), local.end(), static_cast<float>(100 * rank));
    std::vector<float> y(wanted.size(), -1.0f);
    comm.all_gather_columns({}, matrix(local, 1, mine), columns, matrix(y, 1, total));
    ASSERT_EQ(y, wanted);
  });
}

TEST_P(ThreadGroupSizes, ReducesAddsAndNormalisesAsTheTwoOperationsDo) {
  const int n = GetParam();
  constexpr std::int64_t kRows = 3;
  constexpr std::int64_t kDim = 70;
  run_ranks(n, [&](int rank, Communicator& comm, ControlPlane&) {
    std::vector<float> x(kRows * kDim), residual(x.size()), weight(kDim, 0.5f), y(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
      x[i] = static_cast<float>(i % 13) * static_cast<float>(rank + 1);
      residual[i] = static_cast<float>(i % 7);
    }
    std::vector<float> x2 = x, residual2 = residual, y2(x.size());
    const TensorView w(weight.data(), DType::f32, Place::host, {kDim});
    comm.all_reduce_add_rmsnorm({}, {.x = matrix(x, kRows, kDim),
                                     .residual = matrix(residual, kRows, kDim),
                                     .weight = w,
                                     .y = matrix(y, kRows, kDim)});
    comm.all_reduce_sum({}, matrix(x2, kRows, kDim));
    add_rmsnorm({}, {.x = matrix(x2, kRows, kDim),
                     .residual = matrix(residual2, kRows, kDim),
                     .weight = w,
                     .y = matrix(y2, kRows, kDim)});
    ASSERT_EQ(residual, residual2);
    ASSERT_EQ(y, y2);
    ASSERT_EQ(residual[8], static_cast<float>(1 + 8 * n * (n + 1) / 2));
  });
}

TEST_P(ThreadGroupSizes, BroadcastsAndGathersBytesOfAnyLength) {
  const int n = GetParam();
  run_ranks(n, [&](int rank, Communicator&, ControlPlane& control) {
    for (const std::size_t length : {std::size_t{0}, std::size_t{1}, std::size_t{100000}}) {
      const int root = n - 1;
      std::vector<std::byte> bytes(rank == root ? length : 17, std::byte{42});
      control.broadcast(bytes, root);
      ASSERT_EQ(bytes, std::vector<std::byte>(length, std::byte{42}));
    }
    const std::vector<std::byte> mine(static_cast<std::size_t>(rank), static_cast<std::byte>(rank));
    const auto all = control.all_gather(mine);
    ASSERT_EQ(static_cast<int>(all.size()), n);
    for (std::size_t from = 0; from < all.size(); ++from) {
      ASSERT_EQ(all[from], std::vector<std::byte>(from, static_cast<std::byte>(from)));
    }
  });
}

TEST_P(ThreadGroupSizes, NobodyPassesABarrierBeforeAllHaveCome) {
  const int n = GetParam();
  std::atomic<int> arrived = 0;
  run_ranks(n, [&](int, Communicator&, ControlPlane& control) {
    for (int round = 1; round <= 50; ++round) {
      ++arrived;
      control.barrier();
      ASSERT_GE(arrived.load(), round * n);
    }
  });
}

std::string error_of(int ranks, const RankFunction& fn) {
  try {
    run_ranks(ranks, fn);
  } catch (const std::exception& error) {
    return error.what();
  }
  return "no error";
}

TEST(ThreadGroup, AFailedRankReleasesTheOthersAndItsExceptionIsRethrown) {
  std::atomic<int> released = 0;
  const auto fn = [&](int rank, Communicator& comm, ControlPlane&) {
    if (rank == 1) {
      throw DeviceError("rank 1 lost its device");
    }
    std::vector<float> x(8);
    try {
      comm.all_reduce_sum({}, matrix(x, 1, 8));
    } catch (const CommError& error) {
      EXPECT_THAT(error.what(), HasSubstr("rank 1 lost its device"));
      EXPECT_THAT(error.what(), HasSubstr("all_reduce_sum #1"));
      ++released;
      throw;
    }
  };
  EXPECT_THROW(run_ranks(4, fn), DeviceError);
  EXPECT_EQ(released.load(), 3);
}

TEST(ThreadGroup, ARankThatEndsEarlyReleasesTheOthers) {
  EXPECT_THAT(error_of(3,
                       [](int rank, Communicator&, ControlPlane& control) {
                         if (rank != 2) {
                           control.barrier();
                         }
                       }),
              HasSubstr("rank 2 has ended"));
}

TEST(ThreadGroup, CallsThatDifferAreNamed) {
  EXPECT_THAT(error_of(2,
                       [](int rank, Communicator& comm, ControlPlane&) {
                         std::vector<float> x(8);
                         comm.all_reduce_sum({}, matrix(x, 1, rank == 0 ? 8 : 4));
                       }),
              HasSubstr("rank 0 calls all_reduce_sum #1 of f32 [1, 8], rank 1 calls "
                        "all_reduce_sum #1 of f32 [1, 4]"));
}

TEST(ThreadGroup, WrongArgumentsSayWantedAndFound) {
  ThreadGroup group(1);
  std::vector<float> x(8);
  TensorView half = matrix(x, 1, 8);
  half.dtype = DType::bf16;
  EXPECT_THROW(group.communicator(0).all_reduce_sum({}, half), CommError);
  EXPECT_THROW(group.communicator(0).all_reduce_sum({}, matrix(x, 2, 4).column_slice({0, 3})),
               CommError);
  const std::vector<std::int64_t> columns = {3};
  try {
    group.communicator(0).gather_columns({}, matrix(x, 1, 4), columns, matrix(x, 1, 4), 0);
    FAIL() << "no error";
  } catch (const CommError& error) {
    EXPECT_STREQ(error.what(),
                 "threads: gather_columns #3 on rank 0 of 1: wants local [1, 3], found f32 [1, 4]");
  }
  EXPECT_THROW(ThreadGroup(0), ConfigError);
}

TEST(OrderedSum, AddsFromTheFirstPartOn) {
  // 1 + 2^24 rounds to 2^24, so the order shows.
  const std::vector<float> one = {1}, large = {0x1p24f}, minus = {-0x1p24f};
  float sum = 0;
  ordered_sum(std::vector{one.data(), large.data(), minus.data()}, 1, &sum);
  EXPECT_EQ(sum, 0.0f);
  ordered_sum(std::vector{large.data(), minus.data(), one.data()}, 1, &sum);
  EXPECT_EQ(sum, 1.0f);
}

TEST(ThreadControlPlane, WordsReachTheRootWithoutACollective) {
  run_ranks(3, [](int rank, Communicator&, ControlPlane& control) {
    int asked = 0;
    control.while_waiting([&] {
      if (asked++ == 0) {
        control.notify_root(10 + rank);
      }
    });
    std::vector<std::byte> bytes;
    control.broadcast(bytes, 0);
    control.barrier();
    EXPECT_EQ(asked, rank == 0 ? 0 : 1);
    if (rank == 0) {
      control.notify_root(10);
      std::multiset<int> words;
      while (const std::optional<int> word = control.notified()) {
        words.insert(*word);
      }
      EXPECT_EQ(words, (std::multiset<int>{10, 11, 12}));
    }
  });
}

}  // namespace
}  // namespace tutti
