// An open file, and whole reads and writes at offsets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace tutti {

// Move-only owner.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}  // as open(2) returns it, -1 too
  ~FileDescriptor();
  FileDescriptor(FileDescriptor&& other) noexcept;
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

struct ReadResult {
  std::size_t bytes = 0;  // less than asked for where the file ends or error is set
  int error = 0;          // errno
};

// Goes on after short reads, short writes and signals. Thread-safe.
ReadResult read_at(const FileDescriptor& file, std::uint64_t offset, std::span<std::byte> to);
int write_at(const FileDescriptor& file, std::uint64_t offset,
             std::span<const std::byte> from);  // 0 or errno
// A hint: what was written may go to the disk now, so that the fsync at the end has less to wait
// for.
void start_writeback(const FileDescriptor& file, std::uint64_t offset, std::size_t bytes);

}  // namespace tutti
