// What this rank is at, kept for its watch (peer_watch.hpp), which tells the other ranks when they
// ask.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>

#include "runtime/comm/collective_call.hpp"

namespace tutti {

// Written by the thread that works, read by any. One for a process; its groups share it.
class RankState {
 public:
  using Clock = std::chrono::steady_clock;

  enum class Doing : std::uint8_t {
    work,  // whatever does not wait for other ranks
    wait,  // for ranks that should be here soon
    rest,  // for rank 0 to have something to do, which may take for ever
  };
  // How long a stage may take. A stage with `pace` may take for ever, as long as the rank comes to
  // some collective within the deadline.
  struct Stage {
    std::string name;  // "weights"
    Clock::duration deadline{};
    bool pace = true;
    int order = 1 << 10;  // of the stages of a start, equal on all ranks
  };
  struct Look {
    Stage stage;
    int number = 0;  // how many stages this rank has entered
    Clock::time_point stage_begin;
    Doing doing = Doing::work;
    Clock::time_point since;  // that it is doing this
    std::string call;         // what it waits in: "all_reduce_sum #12"
  };

  RankState() { look_.since = look_.stage_begin = Clock::now(); }

  void enter(Stage stage);
  // Called by enter() with the stage's name, once the stage has begun.
  void when_entering(std::function<void(const std::string& stage)> hook);
  Look look() const;

  // While it lives, this rank waits in `call`.
  class Waiting {
   public:
    Waiting(RankState& state, const CollectiveCall& call, Doing doing = Doing::wait);
    ~Waiting();
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;

   private:
    RankState& state_;
  };
  // The same for what is no scope and no collective: "a step of the model", or "" when it is over.
  void wait_for(std::string_view what);
  // The same where what it waits for may take for ever.
  void rest_for(std::string_view what);

  // This process did not run for so long (it was stopped and goes on): nothing of that counts.
  void forgive(Clock::duration gap);

  // How the program ends where a peer or a device fails: 5, or another code where a rerun goes on.
  void end_with(int code) { failure_code_ = code; }
  int failure_code() const { return failure_code_; }
  // Who is told that a group of this process has failed for good; it ends the job.
  void report_to(std::function<void(const std::string& why)> hook);
  // Whether there is somebody to tell.
  bool report(const std::string& why) const;
  // This rank is ending the job and has said why: nobody else needs to.
  void begin_end() { ending_ = true; }
  bool ending() const { return ending_; }

 private:
  void set(Doing doing, std::string_view call, std::uint64_t sequence);
  void set_text(Doing doing, std::string_view what);

  mutable std::mutex mutex_;
  Look look_;                 // `call` is made by look()
  std::string_view waiting_;  // lasts as long as the wait: a literal, or a copy in text_
  std::string text_;
  std::uint64_t sequence_ = 0;
  std::function<void(const std::string&)> entering_;
  std::function<void(const std::string&)> report_;
  std::atomic<int> failure_code_{5};
  std::atomic<bool> ending_{false};
};

}  // namespace tutti
