// Bytes at offsets: a file read by pread, or memory in tests and fuzzers. Never mapped, so that a
// file that shrinks while it is read is an error and not a signal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "runtime/weights/file_descriptor.hpp"

namespace tutti {

class Input {
 public:
  virtual ~Input() = default;
  virtual const std::string& name() const = 0;  // for messages
  virtual std::uint64_t bytes() const = 0;
  // Fills `to` from `offset`; thread-safe. Errors: ModelFileError where the input ends before.
  virtual void read(std::uint64_t offset, std::span<std::byte> to) const = 0;
};

class InputFile final : public Input {
 public:
  // Errors: ModelFileError with the system's reason.
  explicit InputFile(const std::filesystem::path& path);

  const std::string& name() const override { return name_; }
  std::uint64_t bytes() const override { return bytes_; }
  void read(std::uint64_t offset, std::span<std::byte> to) const override;

 private:
  std::string name_;
  std::uint64_t bytes_ = 0;
  FileDescriptor file_;
};

// Borrows the bytes.
class InputBytes final : public Input {
 public:
  InputBytes(std::string name, std::span<const std::byte> data)
      : name_(std::move(name)), data_(data) {}

  const std::string& name() const override { return name_; }
  std::uint64_t bytes() const override { return data_.size(); }
  void read(std::uint64_t offset, std::span<std::byte> to) const override;

 private:
  std::string name_;
  std::span<const std::byte> data_;
};

// The whole of a small text file. Errors: ModelFileError, also where it has more than `limit`
// bytes.
std::string read_text(const std::filesystem::path& path, std::uint64_t limit);

}  // namespace tutti
