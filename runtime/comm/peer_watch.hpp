// Sees to it that a job whose ranks wait in vain comes to an end, and says whom they wait for.
//
// Each rank has a thread that answers for it, whatever the rank itself is stuck in: a file system,
// a driver, a collective. A rank that has waited too long asks all others what they are at. Who
// does not answer is stopped, dead or cut off; who answers that it waits for nobody is the one that
// the others wait for. No rank is special, and nothing is sent while all is well.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "runtime/comm/mpi_mail.hpp"
#include "runtime/comm/mpi_ranks.hpp"
#include "runtime/comm/peer_verdict.hpp"
#include "runtime/comm/process_look.hpp"

namespace tutti {

// "rank 2 on node3", "weights", "does not answer: …"
struct PeerTrouble {
  std::string who;
  std::string stage;
  std::string cause;
};

class PeerWatch {
 public:
  // All are called on the watch's thread.
  struct Hooks {
    std::function<void(const PeerTrouble&)> trouble;  // once, the last thing done: end the job
    std::function<void(const std::string&)> slow;     // a line, on rank 0: a stage takes long
    std::function<bool()> told_to_end;                // whether a signal asks this process to end
    std::function<bool()> ends;  // whether it does end by that signal, if all are alive
    std::function<void()> end;   // … once the others know
  };
  struct Times {
    std::chrono::milliseconds interval{100};  // between two looks
    std::chrono::milliseconds grace{3000};    // for an answer
    std::chrono::milliseconds rest{60000};    // between two questions of a rank that rests
  };

  // Collective over the job's ranks. `ask`: whether the watch may call MPI while the rank does
  // (MpiSession::many_threads); else it names none but stopped and dead ranks of its own node.
  PeerWatch(const MpiRanks& world, bool ask, Hooks hooks, const Times& times);
  ~PeerWatch();  // as stop()
  PeerWatch(const PeerWatch&) = delete;
  PeerWatch& operator=(const PeerWatch&) = delete;

  // Any thread. Tells all ranks that this one ends the job and says why: they need not.
  void say_farewell();
  // Any thread. For a rank that has failed: where another one has said why the job ends, or must
  // have while this process stood still, waits to be ended with it, for 15 s at most.
  void leave_word_to_others();
  // Any thread. `text`: what this rank has waited for in vain. Asks all ranks what they are at, and
  // returns whom to name: this rank where nobody else is to blame.
  PeerTrouble trouble_behind(const std::string& text);
  // No hook is called any more once this has returned. Not on the watch's own thread.
  void stop();

 private:
  using Clock = std::chrono::steady_clock;

  struct Seat {
    std::string host;
    ProcessId process;
    bool on_this_node = false;
    bool visible = false;  // to state_of
    int handle = -1;       // of the process: readable once it has ended
    bool left = false;     // it said so
    bool alive = false;    // it said so when all were told to end
  };

  void find_seats(const MpiRanks& world);
  void run();
  void pause();
  void look_around();
  void look_for_ended_peers();
  void look_for_orders();
  void look_at_clock();
  void tell_slow(const RankState::Look& look, double seconds);
  std::vector<PeerAnswer> roll_call(Clock::duration grace);
  void read_letters();
  void take_letter(int from, const std::string& text);
  PeerAnswer own_answer() const;
  std::vector<int> missing_on_order();
  void post(int rank, const std::string& text);
  void post_to_others(const std::string& text);
  bool end_is_said() const;
  bool stood() const;
  bool has_left(int rank) const;
  void judge(PeerQuestion question, double limit, const std::vector<PeerAnswer>& answers);
  PeerTrouble describe(const PeerVerdict& verdict, const RankState::Look& look) const;
  std::string names_of(const std::vector<int>& ranks) const;
  std::string silence_of(const std::vector<int>& ranks) const;
  void bark(const PeerVerdict& verdict);
  Clock::duration turn() const;

  RankState& state_;
  int rank_;
  std::atomic<bool> ask_;
  Hooks hooks_;
  Times times_;
  MpiMail mail_;
  std::vector<Seat> seats_;
  std::mutex roll_mutex_;            // one roll call at a time
  mutable std::mutex mail_mutex_;    // over the letters and what follows
  int question_ = 0;                 // number of the last one
  std::vector<PeerAnswer> answers_;  // to it
  Clock::time_point asked_;          // by another rank, last
  // The end of the last one, to notice that this process was stopped; while it looks, never.
  std::atomic<Clock::time_point> last_look_;
  Clock::time_point next_question_;
  int slow_stage_ = 0;  // of which slow_at_ is
  double slow_at_ = 0;  // seconds
  // What ended while this process stood was told by others.
  std::atomic<Clock::time_point> silent_until_ = Clock::time_point();
  bool end_said_ = false;  // another rank says why the job ends
  bool order_seen_ = false;
  bool alive_said_ = false;  // of rank 1, to rank 0
  std::vector<int> lost_;
  bool barked_ = false;

  int wake_ = -1;  // ends a pause
  std::mutex mutex_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace tutti
