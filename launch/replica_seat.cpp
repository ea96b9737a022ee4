#include "launch/replica_seat.hpp"

#include <fmt/format.h>

#include "launch/exit_code.hpp"
#include "runtime/comm/rank_grid.hpp"

namespace tutti {
namespace {

int ranks_of_replica(int world, std::optional<int> wanted) {
  const int ranks = wanted.value_or(world);
  if (world % ranks != 0) {
    throw AgreedFailure(
        {ExitCode::usage,
         fmt::format("--tp wants a number that divides the {} ranks of this run, found {}: choose "
                     "another, or start a multiple of {} ranks",
                     world, ranks, ranks)});
  }
  return ranks;
}

int replica_of(const MpiSession& mpi, int replicas, int tensor_ranks) {
  const GridShape shape{.replicas = replicas, .stages = 1, .tensor_ranks = tensor_ranks};
  return RankGrid(shape, mpi.node_of_rank()).place(mpi.rank()).replica;
}

}  // namespace

// Groups are numbered by their lowest ranks, which the split makes their roots: among the roots,
// too, a replica's root has the replica's number.
ReplicaSeat::ReplicaSeat(const MpiSession& mpi, std::optional<int> wanted)
    : control_(mpi.world()),
      tensor_ranks_(ranks_of_replica(mpi.size(), wanted)),
      replicas_(mpi.size() / tensor_ranks_),
      replica_(replica_of(mpi, replicas_, tensor_ranks_)),
      ranks_(mpi.ranks().split(replica_)),
      mail_(mpi.world().split(ranks_.rank() == 0 ? 0 : 1, mpi.rank())) {}

}  // namespace tutti
