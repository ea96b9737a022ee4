// The end of a job that cannot go on: within stated times, with one line that names whom and why,
// and with an exit code that says whether a rerun goes on (docs/errors.md, decision 0015).
#pragma once

#include <memory>
#include <string>

#include "launch/watch_times.hpp"
#include "runtime/comm/mpi_session.hpp"
#include "runtime/comm/peer_watch.hpp"
#include "runtime/comm/watchdog.hpp"

namespace tutti {

// "tutti: rank 2 on node3: weights: does not answer: …\n"
std::string trouble_line(const PeerTrouble& trouble);

// Over what no MPI can watch: its own beginning and end. Ends this process where they hang, and
// says what is known of the ranks of this host.
class MpiGuard {
 public:
  explicit MpiGuard(const WatchTimes& times);
  void watch(const std::string& what) { watchdog_.watch(what); }  // "MPI's end", "" for nothing

 private:
  Watchdog watchdog_;
};

// Over the whole job, from MPI's start on.
class JobWatch {
 public:
  // Collective over the job.
  JobWatch(const MpiSession& mpi, const WatchTimes& times);
  ~JobWatch();
  JobWatch(const JobWatch&) = delete;
  JobWatch& operator=(const JobWatch&) = delete;

  // For a rank that has failed, see PeerWatch.
  void leave_word_to_others() { watch_->leave_word_to_others(); }
  // This rank says why and ends the job: others keep silent.
  void say_farewell() { watch_->say_farewell(); }
  // Collective: all have come to the end of their work.
  void end();

 private:
  void end_job(const PeerTrouble& trouble);

  const MpiSession& mpi_;
  WatchTimes times_;
  std::unique_ptr<PeerWatch> watch_;
};

}  // namespace tutti
