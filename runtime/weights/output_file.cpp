#include "runtime/weights/output_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <random>
#include <system_error>

#include "kernels/error.hpp"

namespace tutti {
namespace {

namespace fs = std::filesystem;

fs::path folder_of(const fs::path& target) {
  return target.has_parent_path() ? target.parent_path() : fs::path(".");
}

std::optional<std::uint64_t> free_bytes(const fs::path& folder) {
  struct statvfs info {};
  if (::statvfs(folder.c_str(), &info) != 0 || info.f_blocks == 0) {
    return std::nullopt;  // a file system that does not tell
  }
  return static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize;
}

std::string in_units(std::uint64_t bytes) {
  const auto number = static_cast<double>(bytes);
  if (bytes < 1'000'000) {
    return fmt::format("{} bytes", bytes);
  }
  return bytes < 1'000'000'000 ? fmt::format("{:.2f} MB", number / 1e6)
                               : fmt::format("{:.2f} GB", number / 1e9);
}

void check_target(const fs::path& target, bool overwrite) {
  std::error_code error;
  const fs::file_status status = fs::status(target, error);
  if (target.empty()) {
    throw ConfigError("the output has no name, wanted the name of a file to write");
  }
  if (!target.has_filename() || fs::is_directory(status)) {
    throw ConfigError(
        fmt::format("{} is a folder, wanted the name of a file to write", target.string()));
  }
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    throw ConfigError(
        fmt::format("{} is not a plain file, it cannot be written over", target.string()));
  }
  // A link that leads nowhere is there too: the rename would find it.
  if (fs::exists(fs::symlink_status(target, error)) && !overwrite) {
    throw ConfigError(
        fmt::format("{} exists; choose another name or allow to overwrite it", target.string()));
  }
}

// PIDs repeat across hosts and containers that share a folder, hence the random part.
fs::path temporary_name(const fs::path& target) {
  return folder_of(target) / fmt::format(".{}.{}-{:08x}.partial", target.filename().string(),
                                         ::getpid(), std::random_device{}());
}

}  // namespace

OutputFile::OutputFile(const fs::path& target, bool overwrite)
    : target_(target), overwrite_(overwrite) {
  check_target(target, overwrite);
  temporary_ = temporary_name(target);
  file_ = FileDescriptor(::open(temporary_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (!file_.valid()) {
    throw Error(fmt::format("{} cannot be written: {} in folder {}", target.string(),
                            std::strerror(errno), folder_of(target).string()));
  }
}

OutputFile::~OutputFile() {
  if (!kept_) {
    ::unlink(temporary_.c_str());
  }
}

void OutputFile::require_space(std::uint64_t bytes) const {
  const std::optional<std::uint64_t> free = free_bytes(folder_of(target_));
  if (free && *free < bytes) {
    throw Error(fmt::format("{}: not enough space: {} wanted, {} free in {}", target_.string(),
                            in_units(bytes), in_units(*free), folder_of(target_).string()));
  }
}

void OutputFile::allocate() const {
#ifdef FALLOC_FL_KEEP_SIZE
  struct stat status {};
  if (::fstat(file_.get(), &status) != 0 || status.st_size == 0) {
    return;
  }
  // Elsewhere than on a full disk a refusal means a file system that cannot; then writing finds
  // them.
  if (::fallocate(file_.get(), FALLOC_FL_KEEP_SIZE, 0, status.st_size) != 0 && errno == ENOSPC) {
    fail("cannot be laid out", ENOSPC, static_cast<std::uint64_t>(status.st_size));
  }
#endif
}

void OutputFile::fail(const std::string& what, int error, std::uint64_t wanted_bytes) const {
  const std::optional<std::uint64_t> free = free_bytes(folder_of(target_));
  const std::string reason = error == 0 ? "" : fmt::format(": {}", std::strerror(error));
  throw Error(fmt::format("{}: {}{}; {} more wanted, {} free in {}", target_.string(), what, reason,
                          in_units(wanted_bytes), free ? in_units(*free) : "an unknown number",
                          folder_of(target_).string()));
}

void OutputFile::keep() {
  if (::fsync(file_.get()) != 0) {
    fail("cannot be brought to the disk", errno, 0);
  }
  const unsigned flags = overwrite_ ? 0 : RENAME_NOREPLACE;
  int result = ::renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, target_.c_str(), flags);
  if (result != 0 && (errno == EINVAL || errno == ENOSYS)) {  // file systems without the flag
    check_target(target_, overwrite_);
    result = ::rename(temporary_.c_str(), target_.c_str());
  }
  if (result != 0 && errno == EEXIST) {
    throw ConfigError(
        fmt::format("{} has come to exist meanwhile; it is left as it is", target_.string()));
  }
  if (result != 0) {
    fail("cannot be renamed from " + temporary_.string(), errno, 0);
  }
  kept_ = true;
  const FileDescriptor folder(::open(folder_of(target_).c_str(), O_RDONLY | O_DIRECTORY));
  if (folder.valid()) {
    ::fsync(folder.get());  // the name; where a file system refuses, its own rules hold
  }
}

}  // namespace tutti
