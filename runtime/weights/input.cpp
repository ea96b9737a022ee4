#include "runtime/weights/input.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "kernels/error.hpp"

namespace tutti {
namespace {

[[noreturn]] void fail_beyond_end(const Input& input, std::uint64_t offset, std::size_t wanted) {
  throw ModelFileError(fmt::format("{}: cut short: wanted {} bytes at offset {}, the file has {}",
                                   input.name(), wanted, offset, input.bytes()));
}

}  // namespace

InputFile::InputFile(const std::filesystem::path& path)
    : name_(path.string()), file_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  if (!file_.valid()) {
    throw ModelFileError(fmt::format("{}: cannot be opened: {}", name_, std::strerror(errno)));
  }
  struct stat status {};
  if (::fstat(file_.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    throw ModelFileError(fmt::format("{}: is not a regular file", name_));
  }
  bytes_ = static_cast<std::uint64_t>(status.st_size);
}

void InputFile::read(std::uint64_t offset, std::span<std::byte> to) const {
  if (offset > bytes_ || to.size() > bytes_ - offset) {
    fail_beyond_end(*this, offset, to.size());
  }
  const ReadResult got = read_at(file_, offset, to);
  if (got.error != 0) {
    throw ModelFileError(fmt::format("{}: reading {} bytes at offset {} failed: {}", name_,
                                     to.size(), offset, std::strerror(got.error)));
  }
  if (got.bytes < to.size()) {
    throw ModelFileError(
        fmt::format("{}: became shorter while it was read: wanted {} bytes at "
                    "offset {}, found its end",
                    name_, to.size() - got.bytes, offset + got.bytes));
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
