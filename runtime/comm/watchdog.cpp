#include "runtime/comm/watchdog.hpp"

#include <fmt/format.h>

#include <future>
#include <memory>
#include <utility>

namespace tutti {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

Watchdog::Watchdog(Hooks hooks, const Times& times)
    : hooks_(std::move(hooks)), times_(times), thread_([this] { run(); }) {}

Watchdog::~Watchdog() {
  stop();
}

void Watchdog::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) {
    thread_.join();
  }
}

void Watchdog::watch(std::string_view stage) {
  const std::lock_guard lock(mutex_);
  stage_ = stage;
  since_ = steady_clock::now();
}

std::string Watchdog::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

void Watchdog::run() {
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, times_.interval, [this] { return stopping_; })) {
    lock.unlock();
    const std::string why = find_failure();
    if (!why.empty()) {
      bark(why);
      return;
    }
    lock.lock();
  }
}

std::string Watchdog::find_failure() {
  if (std::string why = hooks_.poll(); !why.empty()) {
    return why;
  }
  const std::lock_guard lock(mutex_);
  const auto waited = std::chrono::duration_cast<milliseconds>(steady_clock::now() - since_);
  if (stage_.empty() || waited < times_.wait_deadline) {
    return {};
  }
  return fmt::format("waited {:.1f} s for {}, wanted at most {:.1f} s; {}",
                     1e-3 * static_cast<double>(waited.count()), stage_,
                     1e-3 * static_cast<double>(times_.wait_deadline.count()), hooks_.progress());
}

void Watchdog::bark(const std::string& why) {
  {
    const std::lock_guard lock(mutex_);
    failure_ = why;
  }
  const bool ended = run_with_deadline(hooks_.abort, times_.abort_deadline);
  if (hooks_.report) {
    hooks_.report(ended ? why : why + "; ending what hangs did not end in time");
  }
}

bool run_with_deadline(std::function<void()> work, milliseconds deadline) {
  const auto ended = std::make_shared<std::promise<void>>();
  std::future<void> end = ended->get_future();
  std::thread([work = std::move(work), ended] {
    try {
      work();
    } catch (...) {
      // It has ended, which is all that is asked.
    }
    ended->set_value();
  }).detach();
  return end.wait_for(deadline) == std::future_status::ready;
}

}  // namespace tutti
