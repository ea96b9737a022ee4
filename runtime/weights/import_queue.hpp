// Which tensor an import's worker takes next: the largest that is left and whose memory is free.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

namespace tutti {

struct ImportTask {
  std::size_t index = 0;         // of the tensor
  std::uint64_t bytes = 0;       // of work
  std::uint64_t held_bytes = 0;  // of memory that it keeps until it is done
};

class ImportQueue {
 public:
  // At most `limit` bytes are held at a time, or one task that alone holds more.
  ImportQueue(std::vector<ImportTask> tasks, std::uint64_t limit);

  // Waits while nothing that is left fits; nothing when all are taken or after stop().
  std::optional<ImportTask> next();
  void done(const ImportTask& task);
  void stop();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<ImportTask> left_;  // largest first
  std::uint64_t limit_;
  std::uint64_t held_ = 0;
};

}  // namespace tutti
