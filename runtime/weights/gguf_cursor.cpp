#include "runtime/weights/gguf_cursor.hpp"

#include <algorithm>
#include <cstring>

namespace tutti {
namespace {

constexpr std::uint64_t kBufferBytes = 256 * 1024;

}  // namespace

std::string GgufCursor::read_string(const std::string& what) {
  const auto length = read<std::uint64_t>();
  if (length > left()) {
    fail("{} claims {} bytes, {} are left in the file", what, length, left());
  }
  std::string text(length, '\0');
  read_bytes(std::as_writable_bytes(std::span(text)));
  return text;
}

void GgufCursor::read_bytes(std::span<std::byte> to) {
  if (to.size() > left()) {
    fail("cut short: the header wants {} bytes at offset {}, the file has {}", to.size(), position_,
         input_.bytes());
  }
  while (!to.empty()) {
    const std::uint64_t within = position_ - buffer_begin_;
    if (within >= buffer_.size()) {
      buffer_.resize(std::min(kBufferBytes, left()));
      input_.read(position_, buffer_);
      buffer_begin_ = position_;
      continue;
    }
    const std::uint64_t n = std::min<std::uint64_t>(to.size(), buffer_.size() - within);
    std::memcpy(to.data(), buffer_.data() + within, n);
    to = to.subspan(n);
    position_ += n;
  }
}

}  // namespace tutti
