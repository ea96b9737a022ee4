#include "runtime/weights/input.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "kernels/error.hpp"

namespace tutti {
namespace {

// Linux moves at most 0x7ffff000 bytes a call; 1 GiB keeps well below.
constexpr std::size_t kMaxRead = std::size_t{1} << 30;

[[noreturn]] void fail_beyond_end(const Input& input, std::uint64_t offset, std::size_t wanted) {
  throw ModelFileError(fmt::format("{}: cut short: wanted {} bytes at offset {}, the file has {}",
                                   input.name(), wanted, offset, input.bytes()));
}

}  // namespace

InputFile::InputFile(const std::filesystem::path& path) : name_(path.string()) {
  descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor_ < 0) {
    throw ModelFileError(fmt::format("{}: cannot be opened: {}", name_, std::strerror(errno)));
  }
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(descriptor_);
    throw ModelFileError(fmt::format("{}: is not a regular file", name_));
  }
  bytes_ = static_cast<std::uint64_t>(status.st_size);
}

InputFile::~InputFile() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
  }
}

InputFile::InputFile(InputFile&& other) noexcept
    : name_(std::move(other.name_)),
      bytes_(other.bytes_),
      descriptor_(std::exchange(other.descriptor_, -1)) {}

InputFile& InputFile::operator=(InputFile&& other) noexcept {
  std::swap(name_, other.name_);
  std::swap(bytes_, other.bytes_);
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

void InputFile::read(std::uint64_t offset, std::span<std::byte> to) const {
  if (offset > bytes_ || to.size() > bytes_ - offset) {
    fail_beyond_end(*this, offset, to.size());
  }
  while (!to.empty()) {
    const ssize_t got =
        ::pread(descriptor_, to.data(), std::min(to.size(), kMaxRead), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      throw ModelFileError(fmt::format("{}: reading {} bytes at offset {} failed: {}", name_,
                                       to.size(), offset, std::strerror(errno)));
    }
    if (got == 0) {
      throw ModelFileError(
          fmt::format("{}: became shorter while it was read: wanted {} bytes at "
                      "offset {}, found its end",
                      name_, to.size(), offset));
    }
    to = to.subspan(static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
}

void InputBytes::read(std::uint64_t offset, std::span<std::byte> to) const {
  if (offset > data_.size() || to.size() > data_.size() - offset) {
    fail_beyond_end(*this, offset, to.size());
  }
  if (!to.empty()) {
    std::memcpy(to.data(), data_.data() + offset, to.size());
  }
}

std::string read_text(const std::filesystem::path& path, std::uint64_t limit) {
  const InputFile file(path);
  if (file.bytes() > limit) {
    throw ModelFileError(fmt::format("{}: has {} bytes, more than the {} that such a file may have",
                                     file.name(), file.bytes(), limit));
  }
  std::string text(file.bytes(), '\0');
  file.read(0, std::as_writable_bytes(std::span(text)));
  return text;
}

}  // namespace tutti
