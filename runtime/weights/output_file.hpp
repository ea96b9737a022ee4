// A file that comes to be all at once: written under a temporary name, renamed when complete.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "runtime/weights/file_descriptor.hpp"

namespace tutti {

class OutputFile {
 public:
  // Makes ".NAME.PID-RANDOM.partial", empty, beside `target`. Errors: ConfigError (the target is
  // there and `overwrite` is off, or is no plain file; the folder cannot be written).
  OutputFile(const std::filesystem::path& target, bool overwrite);
  ~OutputFile();  // removes the temporary file unless it was kept
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  OutputFile(OutputFile&&) = delete;
  OutputFile& operator=(OutputFile&&) = delete;

  const std::filesystem::path& target() const { return target_; }
  const std::filesystem::path& temporary() const { return temporary_; }
  const FileDescriptor& file() const { return file_; }

  // Errors: Error where fewer bytes than wanted are free on the target's file system.
  void require_space(std::uint64_t bytes) const;
  // Finds the blocks for all of the file as it is now, holes too: found one by one they cost a
  // third of the time of writing. Errors: Error (disk full).
  void allocate() const;
  // For a write that failed: "m.h5: tensor x: No space left on device: 4096 bytes more wanted …".
  [[noreturn]] void fail(const std::string& what, int error, std::uint64_t wanted_bytes) const;

  void keep();  // fsync, rename, fsync of the folder

 private:
  std::filesystem::path target_;
  std::filesystem::path temporary_;
  bool overwrite_;
  bool kept_ = false;
  FileDescriptor file_;
};

}  // namespace tutti
