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

#include "runtime/comm/mpi_group.hpp"

namespace tutti {

// MPI calls are made by one thread at a time (MPI_THREAD_SERIALIZED).
class MpiSession {
 public:
  // Errors: CommError, also where MPI is already started or offers too few threads.
  MpiSession(int& argc, char**& argv);
  // Finalizes, collectively with the other ranks' sessions; does nothing while an exception is on
  // its way, since the peers would be waited for in vain: the launcher then ends the job.
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  int rank() const { return world().rank(); }
  int size() const { return world().size(); }
  // Among the ranks that share this node's memory.
  int node_rank() const { return node_rank_; }
  int node_size() const { return node_size_; }
  // Index of the node of each rank of the world; node 0 has rank 0.
  const std::vector<int>& node_of_rank() const { return node_of_rank_; }
  const std::string& host() const { return host_; }

  // All ranks; a private duplicate of MPI_COMM_WORLD.
  const MpiGroup& world() const { return *world_; }

  // Ends all ranks. The launcher's exit code is `code` modulo 256, or 1 where that would be 0.
  [[noreturn]] void abort(int code) const noexcept;

  // "Open MPI v4.1.4, …": the first line of MPI_Get_library_version; needs no session.
  static std::string library_version();

 private:
  void find_nodes();

  int exceptions_;
  std::optional<MpiGroup> world_;
  int node_rank_ = 0;
  int node_size_ = 1;
  std::vector<int> node_of_rank_;
  std::string host_;
};

}  // namespace tutti
