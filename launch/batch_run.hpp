// The loop of a batch on rank 0: keeps the engine fed, gathers the samples of each request, writes
// its record when all are there, and comes to an end in order.
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "launch/batch_monitor.hpp"
#include "launch/batch_output.hpp"
#include "launch/batch_record.hpp"
#include "launch/batch_source.hpp"
#include "launch/batch_status.hpp"
#include "runtime/comm/communicator.hpp"
#include "runtime/engine/engine.hpp"

namespace tutti {

struct BatchRunOptions {
  std::optional<std::chrono::steady_clock::time_point> stop_at;  // by the time limit
  std::chrono::milliseconds grace{20000};  // for what runs, once the run is to end
  std::size_t waiting_ahead = 256;         // requests that the engine holds without running them
  // Signals of this process, asked once a step; those of other ranks come by `control`.
  std::function<std::optional<int>()> signal;
};

class BatchRun {
 public:
  // Borrows everything.
  BatchRun(Engine& engine, ControlPlane& control, BatchSource& source, BatchOutput& output,
           BatchMonitor& monitor, const BatchModel& model, SpellToken spell,
           BatchRunOptions options);

  // Until all is answered, or until it was told to stop. Errors: what the output, the input or the
  // engine throws; what was finished before an error of the input is written.
  void run();

  // "SIGTERM on rank 0", "the time limit": why it ended before its work was done; empty: it was.
  const std::string& stopped_by() const { return stopped_by_; }
  BatchStatus status() const;

 private:
  using Clock = std::chrono::steady_clock;
  // A request whose samples are on their way.
  struct Open {
    BatchRequest request;
    std::uint64_t hash = 0;
    bool again = false;
    std::size_t prompt_tokens = 0;
    std::vector<BatchSample> samples;
    std::size_t left = 0;  // samples that have not ended
    bool cancelled = false;
    Clock::time_point asked;
    bool begun = false;  // its first token has come
    std::uint64_t first_id = 0;
  };
  struct Place {
    std::shared_ptr<Open> open;
    std::size_t sample = 0;
  };

  void look_for_reasons_to_stop();
  void stop(const std::string& why);
  void cancel(const Open& open);
  void cancel_all(bool begun_too);
  bool input_ended();
  void admit();
  void submit(BatchItem item);
  void refuse(const BatchItem& item, const RequestRefusal& refusal, std::uint64_t hash);
  void tell_again(const BatchRequest& request);
  void refuse_late(const BatchItem& item, const char* code, std::string message);
  void hear(const TokenEvent& event);
  void close(const Open& open);

  Engine& engine_;
  ControlPlane& control_;
  BatchSource& source_;
  BatchOutput& output_;
  BatchMonitor& monitor_;
  BatchModel model_;
  SpellToken spell_;
  BatchRunOptions options_;

  std::unordered_map<std::uint64_t, Place> open_;  // by the engine's id
  std::uint64_t next_id_ = 0;
  std::size_t waiting_tokens_ = 0;  // of prompts that have not begun
  std::uint64_t told_again_ = 0;
  std::uint64_t skipped_late_ = 0;  // refused by the engine as by that of an earlier run
  BatchStatus status_;
  Clock::time_point start_;
  std::string stopped_by_;
  std::optional<Clock::time_point> grace_end_;
  std::exception_ptr input_failure_;
};

}  // namespace tutti
