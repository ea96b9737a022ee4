#include "runtime/comm/thread_meeting.hpp"

#include <fmt/format.h>

#include <exception>
#include <utility>

#include "kernels/error.hpp"

namespace tutti {

void ThreadGate::poison(const std::string& why) {
  const std::lock_guard lock(mutex_);
  if (poison_.empty()) {
    poison_ = why;
  }
  changed_.notify_all();
}

void ThreadGate::leave(int rank) {
  const std::lock_guard lock(mutex_);
  if (left_.empty()) {
    left_ = fmt::format("rank {} has ended and calls no more", rank);
  }
  changed_.notify_all();
}

void ThreadGate::throw_if_broken(const std::string& call) {
  const std::string& why = poison_.empty() ? left_ : poison_;
  if (!why.empty()) {
    throw CommError(fmt::format("threads: {}: {}", call, why));
  }
}

ThreadMeeting::ThreadMeeting(ThreadGate& gate, int ranks)
    : gate_(gate), offers_(static_cast<std::size_t>(ranks)) {}

void ThreadMeeting::wait_for_all(const std::string& call, bool may_break) {
  std::unique_lock lock(gate_.mutex_);
  if (may_break) {
    gate_.throw_if_broken(call);
  }
  if (++arrived_ == size()) {
    arrived_ = 0;
    ++round_;
    gate_.changed_.notify_all();
    return;
  }
  const std::uint64_t round = round_;
  while (round_ == round) {
    if (may_break) {
      gate_.throw_if_broken(call);
    }
    gate_.changed_.wait(lock);
  }
}

void ThreadMeeting::exchange(int rank, ThreadOffer offer, const std::function<void()>& work) {
  const std::string call = offer.call;
  // Only this rank writes here, and nobody reads before all have come.
  offers_[static_cast<std::size_t>(rank)] = std::move(offer);
  wait_for_all(call, true);
  std::exception_ptr failure;
  try {
    check_same_call();
    work();
  } catch (const std::exception& error) {
    failure = std::current_exception();
    gate_.poison(error.what());
  }
  // Not to be broken: until all are through, others read what this rank's caller owns. All have
  // come to this round, so all come here, soon.
  wait_for_all(call, false);
  if (failure) {
    std::rethrow_exception(failure);
  }
}

void ThreadMeeting::check_same_call() const {
  for (int rank = 1; rank < size(); ++rank) {
    if (offer(rank).call != offer(0).call) {
      throw CommError(fmt::format("threads: calls differ: rank 0 calls {}, rank {} calls {}",
                                  offer(0).call, rank, offer(rank).call));
    }
  }
}

}  // namespace tutti
