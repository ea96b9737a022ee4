#include "runtime/weights/import_queue.hpp"

#include <algorithm>
#include <utility>

namespace tutti {

ImportQueue::ImportQueue(std::vector<ImportTask> tasks, std::uint64_t limit)
    : left_(std::move(tasks)), limit_(limit) {
  std::stable_sort(left_.begin(), left_.end(),
                   [](const ImportTask& a, const ImportTask& b) { return a.bytes > b.bytes; });
}

std::optional<ImportTask> ImportQueue::next() {
  std::unique_lock lock(mutex_);
  while (!left_.empty()) {
    const auto found = std::find_if(left_.begin(), left_.end(), [this](const ImportTask& task) {
      return held_ == 0 || task.held_bytes == 0 || held_ + task.held_bytes <= limit_;
    });
    if (found != left_.end()) {
      const ImportTask task = *found;
      left_.erase(found);
      held_ += task.held_bytes;
      return task;
    }
    changed_.wait(lock);
  }
  return std::nullopt;
}

void ImportQueue::done(const ImportTask& task) {
  const std::lock_guard lock(mutex_);
  held_ -= task.held_bytes;
  changed_.notify_all();
}

void ImportQueue::stop() {
  const std::lock_guard lock(mutex_);
  left_.clear();
  changed_.notify_all();
}

}  // namespace tutti
