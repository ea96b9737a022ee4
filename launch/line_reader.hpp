// Lines of a descriptor, whatever its size, in bounded memory.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace tutti {

class LineReader {
 public:
  // `descriptor` is borrowed. Of a line of more than `longest` bytes the rest is dropped.
  // `wait`, where given, is called before each read and ends the reading by false.
  LineReader(int descriptor, std::size_t longest, std::function<bool()> wait = {});

  // The next line without its end; it holds until the next call. False at the end.
  // Errors: Error that says what the system said.
  bool next(std::string_view& line);
  bool complete() const { return complete_; }     // the last line had its line break
  bool too_long() const { return too_long_; }     // … and was cut
  std::uint64_t begin() const { return begin_; }  // offset of the last line's first byte
  std::uint64_t end() const { return end_; }      // … and of what comes after it

 private:
  bool fill();

  int descriptor_;
  std::size_t longest_;
  std::function<bool()> wait_;
  std::string buffer_;
  std::size_t used_ = 0;    // of buffer_, by lines that were told
  std::size_t filled_ = 0;  // bytes of the last read
  std::uint64_t begin_ = 0;
  std::uint64_t end_ = 0;
  bool complete_ = false;
  bool too_long_ = false;
};

}  // namespace tutti
