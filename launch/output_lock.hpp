// One run at a time on one output: a lock file beside it, made so that it holds on NFS and Lustre
// and so that a crashed owner's is taken over.
#pragma once

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>

namespace tutti {

// Who holds a lock, as the file says it in JSON.
struct LockOwner {
  std::string host;
  std::string boot;  // of the machine's start and the process's namespace: whose pids these are
  long pid = 0;
  std::string start;       // when the process began, in the kernel's own count
  std::string job;         // Slurm's, or empty
  int restarts = 0;        // of that job
  std::string token;       // of this one lock
  std::uint64_t beat = 0;  // grows while the owner lives
};

std::string to_text(const LockOwner& owner);
// Nothing understandable: an owner without a token.
LockOwner lock_owner_from_text(const std::string& text);
// This process, with a token of its own.
LockOwner this_process();
// Whether the owner is known to be gone, without waiting: a process of this machine that has ended,
// or an earlier run of this very Slurm job.
bool surely_gone(const LockOwner& owner, const LockOwner& self);

class OutputLock {
 public:
  struct Times {
    std::chrono::milliseconds beat{5000};    // between two signs of life
    std::chrono::milliseconds stale{30000};  // without any for so long: the owner is gone
    std::chrono::milliseconds look{250};     // between two looks at somebody else's lock
  };

  // OUTPUT.lock. Waits where somebody's sign of life may be missing, at most times.stale.
  // Errors: ConfigError that names the owner; Error where the file cannot be made.
  OutputLock(const std::filesystem::path& output, const Times& times);
  explicit OutputLock(const std::filesystem::path& output) : OutputLock(output, Times()) {}
  ~OutputLock();  // removes the file where it is still ours
  OutputLock(const OutputLock&) = delete;
  OutputLock& operator=(const OutputLock&) = delete;

  const std::filesystem::path& path() const { return path_; }
  // "host, process 17": whose lock was taken over; empty for nobody's.
  const std::string& taken_over() const { return taken_over_; }
  // Errors: Error where the lock is no longer ours: another run has taken it for a dead one's.
  void require_ours() const;

 private:
  void acquire();
  void wait_for(const LockOwner& owner);
  bool make();
  bool remove_stale(const LockOwner& owner);
  void write_beat();
  void keep_beating();

  std::filesystem::path path_;
  Times times_;
  LockOwner self_;
  std::string taken_over_;
  std::mutex mutex_;
  std::condition_variable ended_;
  bool end_ = false;
  std::thread heart_;
};

}  // namespace tutti
