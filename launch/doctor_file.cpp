// The model file of `tutti doctor`: what it is, whether its folder can be written and locked, and
// how fast this rank's part arrives.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>

#include "kernels/error.hpp"
#include "launch/doctor_probe.hpp"
#include "runtime/weights/file_descriptor.hpp"
#include "runtime/weights/model_file.hpp"

namespace tutti {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

// By the numbers in statfs(2); Lustre's and GPFS's are their own.
std::string file_system_of(const fs::path& path) {
  struct statfs info {};
  if (::statfs(path.c_str(), &info) != 0) {
    return "unknown";
  }
  switch (static_cast<std::uint32_t>(info.f_type)) {
    case 0x0BD00BD0:
      return "lustre";
    case 0x00006969:
      return "nfs";
    case 0x47504653:
      return "gpfs";
    case 0x19830326:
      return "beegfs";
    case 0x01021994:
      return "tmpfs";
    case 0x0000EF53:
      return "ext4";
    case 0x58465342:
      return "xfs";
    case 0x9123683E:
      return "btrfs";
    case 0x2FC12FC1:
      return "zfs";
    case 0x794C7630:
      return "overlay";
    case 0x65735546:
      return "fuse";
    default:
      return fmt::format("type {:#x}", static_cast<std::uint32_t>(info.f_type));
  }
}

// The same text for ranks that see one file, on whatever host: a copy of it has another inode.
std::string copy_of(const fs::path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    return {};
  }
  return fmt::format("{}:{}:{}.{}", info.st_ino, info.st_size, info.st_mtim.tv_sec,
                     info.st_mtim.tv_nsec);
}

// Share of the file that lies in the page cache. The kernel tells owners only; others hear "all".
double cached_share(const FileDescriptor& file, std::size_t bytes) {
  if (bytes == 0) {
    return 0;
  }
  void* map = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file.get(), 0);
  if (map == MAP_FAILED) {
    return 0;
  }
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> pages((bytes + page - 1) / page);
  std::size_t cached = 0;
  if (::mincore(map, bytes, pages.data()) == 0) {
    for (const unsigned char one : pages) {
      cached += one & 1;
    }
  }
  ::munmap(map, bytes);
  return static_cast<double>(cached) / static_cast<double>(pages.size());
}

Range part_of_rows(const TensorInfo& tensor, FilePart part) {
  return {tensor.rows() * part.index / part.count, tensor.rows() * (part.index + 1) / part.count};
}

}  // namespace

void try_locks(FileReport& report, const fs::path& folder) {
  const fs::path name = folder / fmt::format(".tutti-doctor-{}-{}", ::getpid(),
                                             Clock::now().time_since_epoch().count());
  const FileDescriptor file(::open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  report.folder_writable = file.valid();
  if (!file.valid()) {
    return;
  }
  ::unlink(name.c_str());
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    report.flock_error = std::strerror(errno);
  }
  ::flock(file.get(), LOCK_UN);
  struct flock range {};
  range.l_type = F_WRLCK;
  range.l_whence = SEEK_SET;
  if (::fcntl(file.get(), F_SETLK, &range) != 0) {
    report.fcntl_error = std::strerror(errno);
  }
}

void SystemProbe::look_at_file(RankReport& report, const fs::path& model) {
  FileReport& own = report.file;
  own.path = model.string();
  own.file_system = file_system_of(model);
  own.copy = copy_of(model);
  try_locks(own, model.has_parent_path() ? model.parent_path() : fs::path("."));
  try {
    const ModelFile file(model);
    own.name = file.identity().name;
    own.fingerprint = file.identity().fingerprint;
    own.dtype = file.identity().dtype;
    own.parameters = file.identity().parameters;
    own.bytes = file.identity().weight_bytes;
  } catch (const ModelFileError& error) {
    own.error = error.what();
  }
}

void SystemProbe::read_file(RankReport& report, const fs::path& model, FilePart part,
                            double seconds) {
  FileReport& own = report.file;
  const FileDescriptor descriptor(::open(model.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info {};
  if (!descriptor.valid() || ::fstat(descriptor.get(), &info) != 0) {
    own.read_error = fmt::format("{}: cannot be opened: {}", model.string(), std::strerror(errno));
    return;
  }
  // Clean pages go, so that the file system answers and not this host's memory. A wish: tmpfs and
  // some network file systems keep theirs.
  ::posix_fadvise(descriptor.get(), 0, 0, POSIX_FADV_DONTNEED);
  own.cached_share = cached_share(descriptor, static_cast<std::size_t>(info.st_size));
  try {
    const ModelFile file(model);
    for (const TensorInfo& tensor : file.tensors()) {
      own.part_bytes +=
          static_cast<std::uint64_t>(part_of_rows(tensor, part).size()) * tensor.row_bytes();
    }
    const Clock::time_point begin = Clock::now();
    const auto elapsed = [&] {
      return std::chrono::duration<double>(Clock::now() - begin).count();
    };
    std::vector<std::byte> buffer;
    for (const TensorInfo& tensor : file.tensors()) {
      for (const RowBlock& block : file.blocks(tensor, part_of_rows(tensor, part), true)) {
        if (elapsed() > seconds) {
          break;
        }
        buffer.resize(std::max(buffer.size(), file.bytes(block)));
        own.read_bytes += file.read_block(block, true, buffer).size();
        own.read_seconds = elapsed();
      }
    }
  } catch (const ModelFileError& error) {
    own.read_error = error.what();
  }
}

}  // namespace tutti
