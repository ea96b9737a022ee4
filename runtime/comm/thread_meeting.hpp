// Where the threads of a group meet for one collective call, and how a failed thread sets the
// others free.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

namespace tutti {

// Shared by the meetings of one group: once it is poisoned, every wait ends with a CommError.
class ThreadGate {
 public:
  // The first reason counts.
  void poison(const std::string& why);
  // This rank makes no more calls; whoever waits for it, now or later, gets a CommError.
  void leave(int rank);

 private:
  friend class ThreadMeeting;
  void throw_if_broken(const std::string& call);  // with mutex_ held

  std::mutex mutex_;
  std::condition_variable changed_;
  std::string poison_;
  std::string left_;
};

// What one rank brings. `call` must be equal on all ranks; it names the call in errors.
struct ThreadOffer {
  std::string call;
  void* data = nullptr;
  std::size_t bytes = 0;
};

class ThreadMeeting {
 public:
  ThreadMeeting(ThreadGate& gate, int ranks);

  int size() const { return static_cast<int>(offers_.size()); }

  // Waits until all ranks have come, runs work(), and waits until all are done with it: while it
  // runs, every rank may read all offers and what they point to. Throws CommError where the calls
  // differ or a rank failed or left, and what work() throws.
  void exchange(int rank, ThreadOffer offer, const std::function<void()>& work);
  const ThreadOffer& offer(int rank) const { return offers_[static_cast<std::size_t>(rank)]; }

 private:
  void wait_for_all(const std::string& call, bool may_break);
  void check_same_call() const;

  ThreadGate& gate_;
  std::vector<ThreadOffer> offers_;
  int arrived_ = 0;
  std::uint64_t round_ = 0;
};

}  // namespace tutti
