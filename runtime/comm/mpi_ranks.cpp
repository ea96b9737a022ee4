#include "runtime/comm/mpi_ranks.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <system_error>
#include <thread>
#include <utility>

#include "runtime/comm/mpi_handle.hpp"

namespace tutti {
namespace {

constexpr std::chrono::seconds kAbortDeadline{5};

}  // namespace

MpiRanks::MpiRanks(MpiGroup group, std::string host, int seat)
    : group_(std::move(group)), host_(std::move(host)) {
  find_nodes();
  seat_ = seat < 0 ? node_rank_ : seat;
}

// A node is named by the lowest rank on it; then those are numbered.
void MpiRanks::find_nodes() {
  const MpiGroup node = group_.split_by_node();
  node_rank_ = node.rank();
  node_size_ = node.size();
  const int leader = node.all_gather(rank()).front();
  const std::vector<int> leaders = group_.all_gather(leader);
  std::vector<int> nodes = leaders;
  std::sort(nodes.begin(), nodes.end());
  nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
  for (const int name : leaders) {
    const auto at = std::lower_bound(nodes.begin(), nodes.end(), name);
    node_of_rank_.push_back(static_cast<int>(at - nodes.begin()));
  }
}

MpiRanks MpiRanks::split(int colour) const {
  return {group_.split(colour, rank()), host_, seat_};
}

void MpiRanks::abort(int code) const noexcept {
  // MPI_Abort(comm, 0) would end the job as a success, and so would any multiple of 256.
  const int status = (code & 0xff) == 0 ? 1 : code & 0xff;
  std::fflush(nullptr);
  try {  // where the launcher cannot be reached, MPI_Abort may wait for it
    std::thread([status] {
      std::this_thread::sleep_for(kAbortDeadline);
      std::_Exit(status);
    }).detach();
  } catch (const std::system_error&) {
  }
  MPI_Abort(MPI_COMM_WORLD, status);
  std::_Exit(status);
}

}  // namespace tutti
