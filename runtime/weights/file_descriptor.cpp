#include "runtime/weights/file_descriptor.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace tutti {

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0) {
    ::close(fd_);
  }
}

FileDescriptor::FileDescriptor(FileDescriptor&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)) {}

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

ReadResult read_at(const FileDescriptor& file, std::uint64_t offset, std::span<std::byte> to) {
  ReadResult result;
  while (result.bytes < to.size()) {
    const ssize_t n = ::pread(file.get(), to.data() + result.bytes, to.size() - result.bytes,
                              static_cast<off_t>(offset + result.bytes));
    if (n > 0) {
      result.bytes += static_cast<std::size_t>(n);
    } else if (n == 0) {
      break;
    } else if (errno != EINTR) {
      result.error = errno;
      break;
    }
  }
  return result;
}

int write_at(const FileDescriptor& file, std::uint64_t offset, std::span<const std::byte> from) {
  std::size_t done = 0;
  while (done < from.size()) {
    const ssize_t n = ::pwrite(file.get(), from.data() + done, from.size() - done,
                               static_cast<off_t>(offset + done));
    if (n >= 0) {
      done += static_cast<std::size_t>(n);
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

void start_writeback([[maybe_unused]] const FileDescriptor& file,
                     [[maybe_unused]] std::uint64_t offset, [[maybe_unused]] std::size_t bytes) {
#ifdef SYNC_FILE_RANGE_WRITE
  ::sync_file_range(file.get(), static_cast<off_t>(offset), static_cast<off_t>(bytes),
                    SYNC_FILE_RANGE_WRITE);
#endif
}

}  // namespace tutti
