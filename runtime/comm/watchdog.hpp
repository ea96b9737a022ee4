// Notices that a group has failed or no longer moves, ends what hangs and tells whoever can end the
// job. A thread of its own, since the one that waits cannot look.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace tutti {

class Watchdog {
 public:
  // All are called on the watchdog's threads.
  struct Hooks {
    std::function<std::string()> poll;      // what has failed; empty while all is well
    std::function<std::string()> progress;  // "last call all_reduce_sum #12", for words
    std::function<void()> abort;            // ends what hangs; may hang itself
    std::function<void(const std::string& why)> report;  // the last thing done, once; may be empty
  };
  struct Times {
    std::chrono::milliseconds interval{200};         // between two polls
    std::chrono::milliseconds wait_deadline{60000};  // for what watch() names
    std::chrono::milliseconds abort_deadline{10000};
  };

  Watchdog(Hooks hooks, const Times& times);
  ~Watchdog();  // as stop()
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  // The deadline for `stage` runs from now on; "" means that nothing is waited for.
  void watch(std::string_view stage);
  // Why it has barked; empty while all is well.
  std::string failure() const;
  // No hook is called any more once this has returned, but for an abort that outlived its deadline.
  void stop();

 private:
  void run();
  std::string find_failure();
  void bark(const std::string& why);

  Hooks hooks_;
  Times times_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::string stage_;
  std::chrono::steady_clock::time_point since_{};
  std::string failure_;
  std::thread thread_;
};

// Runs `work` on a thread and waits for it; false where that takes longer than the deadline: then
// the thread is left to itself, so that `work` must own what it uses.
bool run_with_deadline(std::function<void()> work, std::chrono::milliseconds deadline);

}  // namespace tutti
