// What was written to a file goes to the disk on a thread of its own: a shared file system may take
// its time, and the device is not to wait for it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace tutti {

class FileSync {
 public:
  // `interval`: the longest that written() may come before its fdatasync; 0: written() does it.
  FileSync(int descriptor, std::chrono::milliseconds interval);
  ~FileSync();
  FileSync(const FileSync&) = delete;
  FileSync& operator=(const FileSync&) = delete;

  // Something was written. 0, or the errno of a sync that failed since the last call.
  int written();
  // Now. 0 or errno.
  int sync();

 private:
  void run();
  int sync_now();

  int descriptor_;
  std::chrono::milliseconds interval_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool dirty_ = false;
  bool end_ = false;
  int error_ = 0;
  std::thread thread_;
};

}  // namespace tutti
