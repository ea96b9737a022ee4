// MPI's beginning and end, and who this process is. The first object in main:
//
//   int main(int argc, char** argv) {
//     MpiSession mpi(argc, argv);            // outside of the try: it must outlive the handler
//     try { return run(mpi, …); }
//     catch (const Error& error) { report(error); mpi.abort(code); }
//   }
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/comm/mpi_ranks.hpp"

namespace tutti {

// One thread of a rank works and calls MPI; its watch (peer_watch.hpp) is the other that may, where
// the library is for several threads (MPI_THREAD_MULTIPLE).
class MpiSession {
 public:
  // Errors: CommError, also where MPI is already started or offers too few threads.
  MpiSession(int& argc, char**& argv);
  // Finalizes, collectively with the other ranks' sessions; does nothing while an exception is on
  // its way, since the peers would be waited for in vain: the launcher then ends the job.
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  // All ranks of the job. A session stands for them where ranks are wanted.
  const MpiRanks& ranks() const { return *ranks_; }
  operator const MpiRanks&() const { return *ranks_; }  // NOLINT: on purpose not explicit

  // Those of ranks().
  int rank() const { return ranks_->rank(); }
  int size() const { return ranks_->size(); }
  int node_rank() const { return ranks_->node_rank(); }
  int node_size() const { return ranks_->node_size(); }
  const std::vector<int>& node_of_rank() const { return ranks_->node_of_rank(); }
  const std::string& host() const { return ranks_->host(); }
  // A private duplicate of MPI_COMM_WORLD.
  const MpiGroup& world() const { return ranks_->group(); }
  // What this process is at.
  RankState& state() const { return ranks_->group().state(); }
  // Whether several threads may call MPI at the same time.
  bool many_threads() const { return many_threads_; }

  [[noreturn]] void abort(int code) const noexcept { ranks_->abort(code); }

  // "Open MPI v4.1.4, …": the first line of MPI_Get_library_version; needs no session.
  static std::string library_version();

 private:
  int exceptions_;
  bool many_threads_ = false;
  std::optional<MpiRanks> ranks_;
};

}  // namespace tutti
