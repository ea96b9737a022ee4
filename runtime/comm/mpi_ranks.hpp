// Ranks that run one model together, the world or a part of it, and who this process is among them.
#pragma once

#include <string>
#include <vector>

#include "runtime/comm/mpi_group.hpp"

namespace tutti {

// Must end before the MpiSession.
class MpiRanks {
 public:
  // Collective over the group. `seat`: see seat(); below 0, this is the world and finds it.
  MpiRanks(MpiGroup group, std::string host, int seat = -1);

  int rank() const { return group_.rank(); }
  int size() const { return group_.size(); }
  // Among those of these ranks that share this node's memory.
  int node_rank() const { return node_rank_; }
  int node_size() const { return node_size_; }
  // Index of the node of each of these ranks; node 0 has rank 0.
  const std::vector<int>& node_of_rank() const { return node_of_rank_; }
  const std::string& host() const { return host_; }
  // Among all ranks of the job on this node, whatever part of the world this is: a process takes
  // the same GPU in every part, and two parts at work do not meet on one.
  int seat() const { return seat_; }

  // Must not be used for messages: duplicate it.
  const MpiGroup& group() const { return group_; }

  // Collective over these ranks. Those that gave the same colour (0 or more), in the same order.
  MpiRanks split(int colour) const;

  // Ends all ranks of the job, not of this part alone. The launcher's exit code is `code` modulo
  // 256, or 1 where that would be 0.
  [[noreturn]] void abort(int code) const noexcept;

 private:
  void find_nodes();

  MpiGroup group_;
  std::string host_;
  int node_rank_ = 0;
  int node_size_ = 1;
  std::vector<int> node_of_rank_;
  int seat_ = 0;
};

}  // namespace tutti
