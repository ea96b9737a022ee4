// The stages of a start, each with a deadline, and how long each took.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "launch/watch_times.hpp"
#include "runtime/comm/rank_state.hpp"
#include "runtime/engine/model.hpp"

namespace tutti {

struct StageSeconds {
  std::string name;  // "MPI up", "identity", "devices", "communicators", "self-test", "weights",
                     // "first step"
  double seconds = 0;
};

// What a rank reads of a model file at the least, bytes a second: a busy file server's share for
// one of many ranks. Weights get this time besides --startup-timeout.
constexpr double kSlowestRead = 50e6;

class StartupStages {
 public:
  StartupStages(RankState& state, const WatchTimes& times);

  // Ends the stage before; `extra` seconds on top of the deadline.
  void enter(const std::string& name, double extra = 0);
  // Ends the stage; between stages there is a deadline for peers alone.
  void leave();
  // The first step: it may take long, but every rank has to move.
  void enter_first_step();
  // The start is over.
  void run();

  // Those that are over, in order, of this rank.
  const std::vector<StageSeconds>& seconds() const { return seconds_; }

 private:
  using Clock = std::chrono::steady_clock;

  void end_stage();

  RankState& state_;
  WatchTimes times_;
  std::vector<StageSeconds> seconds_;
  std::string stage_;
  Clock::time_point begin_;
};

// `model`, whose first step is a stage of the start. Borrows both.
std::unique_ptr<Model> watch_first_step(Model& model, StartupStages& stages);

}  // namespace tutti
