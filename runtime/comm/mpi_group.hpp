// A group of MPI ranks: the owner of one MPI communicator handle. Free of mpi.h, so that launch/
// can hand groups on.
#pragma once

#include <memory>
#include <vector>

#include "runtime/comm/rank_grid.hpp"
#include "runtime/comm/rank_state.hpp"

namespace tutti {

struct MpiHandle;  // runtime/comm/mpi_handle.hpp

// Errors of all calls: CommError with MPI's own text. A group must end before its MpiSession.
class MpiGroup {
 public:
  // Groups made of this one share `state`.
  MpiGroup(std::unique_ptr<MpiHandle> handle, std::shared_ptr<RankState> state);
  ~MpiGroup();
  MpiGroup(MpiGroup&&) noexcept;
  MpiGroup& operator=(MpiGroup&&) noexcept;
  MpiGroup(const MpiGroup&) = delete;
  MpiGroup& operator=(const MpiGroup&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  const MpiHandle& handle() const { return *handle_; }
  // What this process is at: whoever waits in a group says so there.
  RankState& state() const { return *state_; }

  // Collective over this group. The same ranks, whose messages never meet those of this group.
  MpiGroup duplicate() const;
  // Collective over this group. The ranks that gave the same colour (0 or more), sorted by key,
  // then by rank.
  MpiGroup split(int colour, int key) const;
  // Collective over this group. The ranks that share this rank's memory (MPI_COMM_TYPE_SHARED).
  MpiGroup split_by_node() const;

  // Collective over this group. One number of each rank, in rank order.
  std::vector<int> all_gather(int value) const;

 private:
  std::unique_ptr<MpiHandle> handle_;
  std::shared_ptr<RankState> state_;
  int rank_ = 0;
  int size_ = 0;
};

// Collective over the world, whose ranks the grid places: this rank's tensor-parallel group.
MpiGroup split_tensor_group(const MpiGroup& world, const RankGrid& grid);

}  // namespace tutti
