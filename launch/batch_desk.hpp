// The part of a batch that runs once, on rank 0 of the world: deals what the input wants to the
// replicas, writes what comes back, tells of it, and brings the run to an end in order.
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "launch/batch_crew.hpp"
#include "launch/batch_monitor.hpp"
#include "launch/batch_output.hpp"
#include "launch/batch_record.hpp"
#include "launch/batch_source.hpp"
#include "launch/batch_status.hpp"
#include "runtime/comm/communicator.hpp"

namespace tutti {

struct BatchDeskOptions {
  std::optional<std::chrono::steady_clock::time_point> stop_at;  // by the time limit
  std::chrono::milliseconds grace{20000};  // for what runs, once the run is to end
  // Signals of this process, asked once a step; those of its replica's other ranks come by
  // `control`, those of other replicas with their news.
  std::function<std::optional<int>()> signal;
  RankState* state = nullptr;  // of this process; may be null
};

class BatchDesk {
 public:
  // Borrows everything.
  BatchDesk(BatchCrew& crew, ControlPlane& control, BatchSource& source, BatchOutput& output,
            BatchMonitor& monitor, BatchModel model, BatchDeskOptions options);

  // Until all is answered, or until it was told to stop; the other replicas have gone then. Errors:
  // what the output, the input, the engine or another replica throws; what was finished before an
  // error of the input is written.
  void run();

  // "SIGTERM", "the time limit": why it ended before its work was done; empty: it was.
  const std::string& stopped_by() const { return stopped_by_; }
  BatchStatus status() const;

 private:
  using Clock = std::chrono::steady_clock;

  void work();
  void wait();
  void look_for_reasons_to_stop();
  void stop(const std::string& why);
  bool input_ended();
  void deal();
  void refuse(const BatchItem& item);
  void tell_again(const BatchRequest& request);
  void hear(int replica, const ReplicaNews& news);
  void settle(const BatchOutcome& outcome, ReplicaShare& share);

  BatchCrew& crew_;
  ControlPlane& control_;
  BatchSource& source_;
  BatchOutput& output_;
  BatchMonitor& monitor_;
  BatchModel model_;
  BatchDeskOptions options_;

  std::vector<ReplicaState> states_;  // by replica, as last heard
  Nap nap_;
  std::uint64_t told_again_ = 0;
  std::uint64_t skipped_late_ = 0;  // refused by an engine as by that of an earlier run
  BatchStatus status_;
  Clock::time_point start_;
  std::string stopped_by_;
  Clock::time_point grace_end_;
  bool cancelled_ = false;
  std::exception_ptr input_failure_;
};

}  // namespace tutti
