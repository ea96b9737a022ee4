// Reads the packed little-endian fields of a GGUF header one after the other, buffered.
#pragma once

#include <fmt/format.h>

#include <array>
#include <bit>
#include <string>
#include <vector>

#include "kernels/error.hpp"
#include "runtime/weights/input.hpp"

namespace tutti {

class GgufCursor {
 public:
  explicit GgufCursor(const Input& input) : input_(input) {}

  std::uint64_t position() const { return position_; }
  std::uint64_t left() const { return input_.bytes() - position_; }

  // The next field; T is an integer or floating-point type. Errors: ModelFileError at the end.
  template <typename T>
  T read() {
    std::array<std::byte, sizeof(T)> field{};
    read_bytes(field);
    static_assert(std::endian::native == std::endian::little);
    return std::bit_cast<T>(field);
  }

  // A length and that many bytes. `what` names it in the error.
  std::string read_string(const std::string& what);

  template <typename... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
    throw ModelFileError(
        fmt::format("{}: {}", input_.name(), fmt::format(format, std::forward<Args>(args)...)));
  }

 private:
  void read_bytes(std::span<std::byte> to);

  const Input& input_;
  std::uint64_t position_ = 0;
  std::vector<std::byte> buffer_;
  std::uint64_t buffer_begin_ = 0;  // position of buffer_[0]
};

}  // namespace tutti
