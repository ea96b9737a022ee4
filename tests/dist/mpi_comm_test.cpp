// MPI's collectives against those of threads, bit for bit, and the control plane's bytes.
#include <gmock/gmock.h>

#include <cstring>
#include <numeric>
#include <random>
#include <set>
#include <string>

#include "kernels/error.hpp"
#include "runtime/comm/mpi_communicator.hpp"
#include "runtime/comm/mpi_control_plane.hpp"
#include "runtime/comm/thread_group.hpp"
#include "tests/support/mpi_main.hpp"

namespace tutti {
namespace {

using ::testing::HasSubstr;
using Values = std::vector<float>;

TensorView matrix(Values& values, std::int64_t rows, std::int64_t columns) {
  return {values.data(), DType::f32, Place::host, {rows, columns}};
}

// What each rank brings: equal wherever it is computed.
Values random_values(std::size_t count, int rank, unsigned seed) {
  std::mt19937 random(seed * 1000 + static_cast<unsigned>(rank));
  std::uniform_real_distribution<float> uniform(-1e3f, 1e3f);
  Values values(count);
  for (float& value : values) {
    value = uniform(random);
  }
  return values;
}

bool same_bits(const Values& a, const Values& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

struct Shape {
  std::int64_t rows, columns;
};

// 0 and 1 columns, decode, prefill, both sides of every border between algorithms and slices.
const Shape kShapes[] = {
    {0, 8},   {3, 0},     {1, 1},     {1, 3},    {1, 576},     {1, 4096},          {1, 4097},
    {8, 576}, {1, 16384}, {1, 16385}, {64, 576}, {1, 1 << 20}, {1, (1 << 20) + 1}, {5, 600001}};

TEST(MpiCommunicator, SumsHaveTheBitsOfTheThreadGroup) {
  MpiCommunicator comm(test_session().world());
  unsigned seed = 0;
  for (const auto& [rows, columns] : kShapes) {
    SCOPED_TRACE(std::to_string(rows) + " x " + std::to_string(columns));
    const auto count = static_cast<std::size_t>(rows * columns);
    Values x = random_values(count, comm.rank(), ++seed);
    comm.all_reduce_sum({}, matrix(x, rows, columns));
    Values wanted;
    run_ranks(comm.size(), [&](int rank, Communicator& threads, ControlPlane&) {
      Values mine = random_values(count, rank, seed);
      threads.all_reduce_sum({}, matrix(mine, rows, columns));
      if (rank == 0) {
        wanted = mine;
      }
    });
    EXPECT_TRUE(same_bits(x, wanted));
  }
}

TEST(MpiCommunicator, TheSumOfAnElementDoesNotDependOnTheSizeOfTheMessage) {
  MpiCommunicator comm(test_session().world());
  Values large = random_values(100000, comm.rank(), 99);
  Values small(large.begin(), large.begin() + 576);
  comm.all_reduce_sum({}, matrix(large, 1, 100000));
  comm.all_reduce_sum({}, matrix(small, 1, 576));
  large.resize(576);
  EXPECT_TRUE(same_bits(small, large));
}

TEST(MpiCommunicator, GathersUnevenColumnsOnEachRoot) {
  MpiCommunicator comm(test_session().world());
  // 40000 columns a rank and 60 rows: more than one slice.
  for (const std::int64_t scale : {std::int64_t{0}, std::int64_t{1}, std::int64_t{40000}}) {
    std::vector<std::int64_t> columns;
    for (int rank = 0; rank < comm.size(); ++rank) {
      columns.push_back(scale * ((rank + 1) % 3));
    }
    const std::int64_t width = std::accumulate(columns.begin(), columns.end(), std::int64_t{0});
    const std::int64_t mine = columns[static_cast<std::size_t>(comm.rank())];
    for (const std::int64_t rows : {std::int64_t{1}, std::int64_t{60}}) {
      const int root = static_cast<int>(rows) % comm.size();
      Values wide(static_cast<std::size_t>(rows * (mine + 3)));
      const TensorView local = matrix(wide, rows, mine + 3).column_slice({2, 2 + mine});
      const auto value = [](int rank, std::int64_t row, std::int64_t column) {
        return static_cast<float>(1000000 * rank + 100000 * (row % 10) + column);
      };
      for (std::int64_t row = 0; row < rows; ++row) {
        for (std::int64_t column = 0; column < mine; ++column) {
          local.row<float>(row)[column] = value(comm.rank(), row, column);
        }
      }
      Values result(static_cast<std::size_t>(rows * width));
      const bool here = comm.rank() == root;
      comm.gather_columns({}, local, columns, here ? matrix(result, rows, width) : TensorView{},
                          root);
      Values wanted;
      for (std::int64_t row = 0; row < rows && here; ++row) {
        for (int rank = 0; rank < comm.size(); ++rank) {
          for (std::int64_t c = 0; c < columns[static_cast<std::size_t>(rank)]; ++c) {
            wanted.push_back(value(rank, row, c));
          }
        }
      }
      EXPECT_TRUE(!here || same_bits(result, wanted)) << rows << " rows, scale " << scale;
    }
  }
}

TEST(MpiCommunicator, GathersUnevenColumnsOnEveryRank) {
  MpiCommunicator comm(test_session().world());
  for (const std::int64_t scale : {std::int64_t{1}, std::int64_t{40000}}) {
    std::vector<std::int64_t> columns;
    for (int rank = 0; rank < comm.size(); ++rank) {
      columns.push_back(scale * ((rank + 1) % 3));
    }
    const std::int64_t width = std::accumulate(columns.begin(), columns.end(), std::int64_t{0});
    const std::int64_t mine = columns[static_cast<std::size_t>(comm.rank())];
    for (const std::int64_t rows : {std::int64_t{1}, std::int64_t{60}}) {
      Values local = random_values(static_cast<std::size_t>(rows * mine), comm.rank(), 5);
      Values result(static_cast<std::size_t>(rows * width));
      comm.all_gather_columns({}, matrix(local, rows, mine), columns, matrix(result, rows, width));
      Values wanted(result.size());
      std::int64_t begin = 0;
      for (int rank = 0; rank < comm.size(); ++rank) {
        const std::int64_t count = columns[static_cast<std::size_t>(rank)];
        Values theirs = random_values(static_cast<std::size_t>(rows * count), rank, 5);
        copy_matrix(matrix(theirs, rows, count),
                    matrix(wanted, rows, width).column_slice({begin, begin + count}));
        begin += count;
      }
      EXPECT_TRUE(same_bits(result, wanted)) << rows << " rows, scale " << scale;
    }
  }
}

TEST(MpiCommunicator, ErrorsNameTheCollectiveAndItsNumber) {
  MpiCommunicator comm(test_session().world());
  Values x(8);
  comm.all_reduce_sum({}, matrix(x, 1, 8));
  TensorView half = matrix(x, 1, 8);
  half.dtype = DType::f16;
  try {
    comm.all_reduce_sum({}, half);
    FAIL() << "no error";
  } catch (const CommError& error) {
    EXPECT_THAT(error.what(),
                HasSubstr("mpi: all_reduce_sum #2 on rank " + std::to_string(comm.rank()) + " of " +
                          std::to_string(comm.size())));
  }
}

TEST(MpiControlPlane, BroadcastsBytesOfAnyLengthFromAnyRoot) {
  MpiControlPlane control(test_session().world());
  for (const std::size_t length : {std::size_t{0}, std::size_t{1}, std::size_t{10} << 20}) {
    for (int root = 0; root < control.size(); ++root) {
      std::vector<std::byte> wanted(length);
      for (std::size_t i = 0; i < length; ++i) {
        wanted[i] = static_cast<std::byte>(i * 7 + static_cast<std::size_t>(root));
      }
      std::vector<std::byte> bytes =
          control.rank() == root ? wanted : std::vector<std::byte>(33, std::byte{9});
      control.broadcast(bytes, root);
      ASSERT_TRUE(bytes == wanted) << length << " bytes from " << root;
    }
  }
}

TEST(MpiControlPlane, BroadcastsInARowDoNotOvertakeOneAnother) {
  MpiControlPlane control(test_session().world());
  for (int i = 0; i < 500; ++i) {
    std::vector<std::byte> bytes(static_cast<std::size_t>(i % 7), static_cast<std::byte>(i));
    const std::vector<std::byte> wanted = bytes;
    const int root = i % control.size();
    if (control.rank() != root) {
      bytes.clear();
    }
    control.broadcast(bytes, root);
    ASSERT_TRUE(bytes == wanted) << i;
  }
}

TEST(MpiControlPlane, GathersTheBytesOfAllInRankOrder) {
  MpiControlPlane control(test_session().world());
  for (const std::size_t scale : {std::size_t{0}, std::size_t{1}, std::size_t{100000}}) {
    const auto of_rank = [&](int rank) {
      return std::vector<std::byte>(scale * static_cast<std::size_t>(rank),
                                    static_cast<std::byte>(rank));
    };
    const auto all = control.all_gather(of_rank(control.rank()));
    ASSERT_EQ(static_cast<int>(all.size()), control.size());
    for (int rank = 0; rank < control.size(); ++rank) {
      EXPECT_TRUE(all[static_cast<std::size_t>(rank)] == of_rank(rank)) << rank;
    }
  }
  control.barrier();
}

TEST(MpiControlPlane, AWrongRootIsRefused) {
  MpiControlPlane control(test_session().world());
  std::vector<std::byte> bytes;
  EXPECT_THROW(control.broadcast(bytes, control.size()), CommError);
}

TEST(MpiControlPlane, WordsReachTheRootWhileTheOthersWaitForIt) {
  MpiControlPlane control(test_session().world());
  int words = 0;
  control.while_waiting([&] {
    if (words < 2) {
      control.notify_root(100 * control.rank() + words++);
    }
  });
  std::multiset<int> heard;
  std::multiset<int> wanted;
  if (control.rank() == 0) {
    control.notify_root(7);
    wanted.insert(7);
    for (int rank = 1; rank < control.size(); ++rank) {
      wanted.insert({100 * rank, 100 * rank + 1});
    }
    while (heard.size() < wanted.size()) {  // the others wait below, however long this takes
      if (const std::optional<int> word = control.notified()) {
        heard.insert(*word);
      }
    }
  }
  std::vector<std::byte> bytes;
  control.broadcast(bytes, 0);
  EXPECT_EQ(heard, wanted);
  EXPECT_FALSE(control.notified());
}

}  // namespace
}  // namespace tutti
