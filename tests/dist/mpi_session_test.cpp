// Who is where, and the groups that the world splits into.
#include "runtime/comm/mpi_session.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <string>

#include "kernels/error.hpp"
#include "runtime/comm/agreement.hpp"
#include "runtime/comm/mpi_communicator.hpp"
#include "runtime/comm/mpi_control_plane.hpp"
#include "tests/support/mpi_main.hpp"

namespace tutti {
namespace {

using ::testing::HasSubstr;

TEST(MpiSession, KnowsItsRanksNodeAndHost) {
  const MpiSession& mpi = test_session();
  EXPECT_GE(mpi.rank(), 0);
  EXPECT_LT(mpi.rank(), mpi.size());
  // mpirun on this machine: one node.
  EXPECT_EQ(mpi.node_rank(), mpi.rank());
  EXPECT_EQ(mpi.node_size(), mpi.size());
  EXPECT_EQ(mpi.node_of_rank(), std::vector<int>(static_cast<std::size_t>(mpi.size()), 0));
  EXPECT_FALSE(mpi.host().empty());
  EXPECT_FALSE(MpiSession::library_version().empty());
  EXPECT_EQ(MpiSession::library_version().find('\n'), std::string::npos);
}

TEST(MpiSession, ASecondOneIsRefused) {
  int argc = 0;
  char** argv = nullptr;
  EXPECT_THROW(MpiSession(argc, argv), CommError);
}

TEST(MpiGroup, SplitsByColourAndSortsByKey) {
  const MpiGroup& world = test_session().world();
  const MpiGroup half = world.split(world.rank() % 2, -world.rank());
  const std::vector<int> members = half.all_gather(world.rank());
  EXPECT_EQ(static_cast<int>(members.size()), (world.size() + 1 - world.rank() % 2) / 2);
  EXPECT_TRUE(std::is_sorted(members.rbegin(), members.rend()));
  EXPECT_EQ(members.at(static_cast<std::size_t>(half.rank())), world.rank());
}

TEST(MpiGroup, MpiErrorsCarryTheNameAndTextOfTheCall) {
  const MpiGroup& world = test_session().world();
  try {
    world.split(-7, 0);  // no such colour
    FAIL() << "no error";
  } catch (const CommError& error) {
    EXPECT_THAT(error.what(), HasSubstr("MPI_Comm_split failed: MPI_ERR_"));
  }
}

TEST(MpiGroup, TensorGroupsAddAmongThemselves) {
  const MpiSession& mpi = test_session();
  const int replicas = mpi.size() % 2 == 0 ? 2 : 1;
  const RankGrid grid({.replicas = replicas, .tensor_ranks = mpi.size() / replicas},
                      mpi.node_of_rank());
  const MpiGroup group = split_tensor_group(mpi.world(), grid);
  const GridPlace place = grid.place(mpi.rank());
  EXPECT_EQ(group.rank(), place.tensor_rank);
  EXPECT_EQ(group.all_gather(mpi.rank()), grid.tensor_group(place.replica, place.stage));
  MpiCommunicator comm(group);
  float x = static_cast<float>(1 + place.replica);
  comm.all_reduce_sum({}, {&x, DType::f32, Place::host, {1, 1}});
  EXPECT_EQ(x, static_cast<float>((1 + place.replica) * group.size()));
}

TEST(Agreement, RanksThatHoldDifferentFilesAllRefuse) {
  const MpiSession& mpi = test_session();
  MpiControlPlane control(mpi.world());
  EXPECT_NO_THROW(require_agreement(control, "fingerprint", "ab12", mpi.host()));
  if (mpi.size() == 1) {
    return;
  }
  const bool last = mpi.rank() == mpi.size() - 1;
  try {
    require_agreement(control, "fingerprint", last ? "cd34" : "ab12", mpi.host());
    FAIL() << "no error";
  } catch (const ModelFileError& error) {
    EXPECT_THAT(error.what(), HasSubstr("cd34 on rank " + std::to_string(mpi.size() - 1)));
    EXPECT_THAT(error.what(), HasSubstr(mpi.host()));
  }
}

}  // namespace
}  // namespace tutti
