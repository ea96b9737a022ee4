// Threads as ranks: what tests run parallel layers on, without MPI. Sums have the same bits as
// those of MpiCommunicator.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "runtime/comm/communicator.hpp"

namespace tutti {

// One communicator and one control plane for each of `ranks` threads of this process. A call that
// differs between ranks in name, sequence or shape throws CommError on all of them.
class ThreadGroup {
 public:
  explicit ThreadGroup(int ranks);  // ConfigError below 1
  ~ThreadGroup();
  ThreadGroup(const ThreadGroup&) = delete;
  ThreadGroup& operator=(const ThreadGroup&) = delete;

  int size() const;
  Communicator& communicator(int rank);
  ControlPlane& control(int rank);

  // All calls that wait, and all later ones, throw CommError with this reason.
  void poison(const std::string& why);
  // The rank makes no more calls: others that wait for it throw CommError instead of hanging.
  void leave(int rank);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

using RankFunction = std::function<void(int rank, Communicator& comm, ControlPlane& control)>;

// Runs fn on `ranks` threads. When one throws, the others are released by a CommError in their
// current or next call, and the exception that came first is rethrown here after all have ended.
void run_ranks(int ranks, const RankFunction& fn);

}  // namespace tutti
