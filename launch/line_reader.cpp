#include "launch/line_reader.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "kernels/error.hpp"

namespace tutti {
namespace {

constexpr std::size_t kChunk = std::size_t{1} << 16;

}  // namespace

LineReader::LineReader(int descriptor, std::size_t longest, std::function<bool()> wait)
    : descriptor_(descriptor), longest_(longest), wait_(std::move(wait)) {}

// One more read; false at the end.
bool LineReader::fill() {
  if (wait_ && !wait_()) {
    return false;
  }
  buffer_.erase(0, used_);
  used_ = 0;
  const std::size_t before = buffer_.size();
  buffer_.resize(before + kChunk);
  ssize_t got = -1;
  do {
    got = read(descriptor_, buffer_.data() + before, kChunk);
  } while (got < 0 && errno == EINTR);
  const int error = got < 0 ? errno : 0;
  buffer_.resize(before + static_cast<std::size_t>(got < 0 ? 0 : got));
  if (got < 0) {
    throw Error(fmt::format("cannot read on after {} bytes: {}", end_, std::strerror(error)));
  }
  filled_ = static_cast<std::size_t>(got);
  return got > 0;
}

bool LineReader::next(std::string_view& line) {
  begin_ = end_;
  too_long_ = false;
  std::size_t searched = used_;
  while (true) {
    const std::size_t found = buffer_.find('\n', searched);
    complete_ = found != std::string::npos;
    if (complete_) {
      end_ += found - searched + 1;
      const std::size_t length = found - used_;
      line = std::string_view(buffer_).substr(used_, std::min(length, longest_));
      too_long_ = too_long_ || length > longest_;
      used_ = found + 1;
      return true;
    }
    end_ += buffer_.size() - searched;
    if (buffer_.size() - used_ > longest_) {
      too_long_ = true;
      buffer_.resize(used_ + longest_);
    }
    if (!fill()) {
      line = std::string_view(buffer_).substr(used_);
      used_ = buffer_.size();
      return !line.empty();
    }
    searched = buffer_.size() - filled_;
  }
}

}  // namespace tutti
