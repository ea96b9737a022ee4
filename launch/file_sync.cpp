#include "launch/file_sync.hpp"

#include <unistd.h>

#include <cerrno>
#include <utility>

namespace tutti {

FileSync::FileSync(int descriptor, std::chrono::milliseconds interval)
    : descriptor_(descriptor), interval_(interval) {
  if (interval_.count() > 0) {
    thread_ = std::thread([this] { run(); });
  }
}

FileSync::~FileSync() {
  {
    const std::lock_guard lock(mutex_);
    end_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) {
    thread_.join();
  }
}

int FileSync::sync_now() {
  // Some file systems know nothing of it; then there is nothing to wait for.
  return fdatasync(descriptor_) == 0 || errno == EINVAL || errno == ENOTSUP ? 0 : errno;
}

int FileSync::written() {
  if (interval_.count() == 0) {
    return sync_now();
  }
  const std::lock_guard lock(mutex_);
  if (!dirty_) {
    dirty_ = true;
    changed_.notify_all();
  }
  return std::exchange(error_, 0);
}

int FileSync::sync() {
  {
    const std::lock_guard lock(mutex_);
    if (error_ != 0) {
      return std::exchange(error_, 0);
    }
  }
  return sync_now();
}

void FileSync::run() {
  std::unique_lock lock(mutex_);
  while (!end_) {
    changed_.wait(lock, [this] { return dirty_ || end_; });
    // Half the interval: what is written while the disk works is part of the promise.
    changed_.wait_for(lock, interval_ / 2, [this] { return end_; });
    if (!dirty_) {
      continue;
    }
    dirty_ = false;
    lock.unlock();
    const int error = sync_now();
    lock.lock();
    error_ = error != 0 ? error : error_;
  }
}

}  // namespace tutti
