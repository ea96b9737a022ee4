#include "launch/batch_output.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "kernels/error.hpp"
#include "launch/line_reader.hpp"
#include "runtime/weights/output_file.hpp"

namespace tutti {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kLongestRecord = std::size_t{1} << 30;
constexpr std::chrono::seconds kBetweenLooksAtLock{1};  // each asks a file server

[[noreturn]] void fail(const fs::path& path, std::string_view what) {
  throw Error(fmt::format("{}: {}: {}", path.string(), what, std::strerror(errno)));
}

// Where writing through a link ends up: the file that is renamed over must not be the link.
fs::path resolved(const std::string& path) {
  std::error_code error;
  const fs::path target = fs::weakly_canonical(path, error);
  return error || target.empty() ? fs::path(path) : target;
}

// A pipe takes what it can: the rest follows.
int write_all(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t wrote = write(descriptor, bytes.data(), bytes.size());
    if (wrote < 0 && errno != EINTR) {
      return errno;
    }
    bytes.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(wrote, 0)));
  }
  return 0;
}

bool begins_like_a_record(std::string_view line) {
  const std::string_view begin = line.substr(0, kRecordBegin.size());
  return line.find_first_not_of('\0') == std::string_view::npos || kRecordBegin.starts_with(begin);
}

}  // namespace

BatchOutput::BatchOutput(const BatchOutputOptions& options)
    : path_(options.path), fingerprint_(options.fingerprint) {
  struct stat status {};
  const bool there = options.path != "-" && stat(options.path.c_str(), &status) == 0;
  if (there && S_ISDIR(status.st_mode)) {
    throw ConfigError(fmt::format("the output {} is a folder: wanted a file", options.path));
  }
  stream_ = options.path == "-" || (there && !S_ISREG(status.st_mode));
  if (stream_) {
    open_stream(options);
  } else {
    open_file(options);
  }
}

BatchOutput::~BatchOutput() {
  try {
    if (!failed_) {
      sync();
    }
  } catch (const Error&) {
    // What ended the run is being told already.
  }
}

void BatchOutput::open_stream(const BatchOutputOptions& options) {
  file_ = FileDescriptor(options.path == "-" ? dup(STDOUT_FILENO)
                                             : open(options.path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file_.valid()) {
    fail(path_, "cannot be opened for writing");
  }
}

void BatchOutput::open_file(const BatchOutputOptions& options) {
  path_ = resolved(options.path);
  if (options.existing == ExistingOutput::refuse && fs::exists(path_)) {
    throw ConfigError(fmt::format(
        "{} exists: --no-resume wants a new output; without it the run goes on where that one "
        "ended, --overwrite begins anew",
        path_.string()));
  }
  lock_.emplace(path_, options.lock);
  constexpr mode_t kMode = 0644;
  const auto open_it = [&](int flags) {
    file_ = FileDescriptor(open(path_.c_str(), flags | O_CREAT | O_CLOEXEC, kMode));
    if (!file_.valid()) {
      fail(path_, "cannot be opened for reading and writing");
    }
  };
  open_it(O_RDWR | O_APPEND);
  if (options.existing == ExistingOutput::replace) {
    if (ftruncate(file_.get(), 0) != 0) {
      fail(path_, "cannot be emptied");
    }
  } else {
    scan();
  }
  sync_.emplace(file_.get(), options.flush);
}

// Reads all that is there. Nothing is changed before every line is known to be ours.
void BatchOutput::scan() {
  std::array<char, kRecordBegin.size()> begin{};
  const ssize_t got = pread(file_.get(), begin.data(), begin.size(), 0);
  if (got > 0 && !begins_like_a_record({begin.data(), static_cast<std::size_t>(got)})) {
    refuse_foreign(1);  // before it is read as one line that may fill the memory
  }
  LineReader lines(file_.get(), kLongestRecord);
  std::string_view line;
  std::uint64_t number = 0;
  std::uint64_t whole = 0;         // where the last readable record ends
  std::uint64_t damaged_tail = 0;  // lines since that are not readable
  while (lines.next(line)) {
    ++number;
    const bool readable = look_at_line(line, number, lines.complete());
    if (readable) {
      found_.damaged += std::exchange(damaged_tail, 0);
      whole = lines.end();
    } else {
      ++damaged_tail;
    }
  }
  found_.torn_bytes = lines.end() - whole;
  size_ = whole;
  if (found_.torn_bytes > 0 && ftruncate(file_.get(), static_cast<off_t>(whole)) != 0) {
    fail(path_, "a torn last line cannot be cut");
  }
  if (found_.superseded + found_.damaged > 0) {
    IdTable kept;
    rewrite([&](const RecordMark& mark) {
      return finished_.find(mark.id) == (mark.other_model ? ~mark.request : mark.request) &&
             kept.add(mark.id, 0);
    });
  }
}

void BatchOutput::refuse_foreign(std::uint64_t number) const {
  throw ConfigError(fmt::format(
      "{}: line {} is no record of tutti batch: wanted an output of this program or a new file; "
      "it was left as it is (--overwrite replaces it)",
      path_.string(), number));
}

// False for a line of ours that cannot be read. Errors: ConfigError where it is somebody else's.
bool BatchOutput::look_at_line(std::string_view line, std::uint64_t number, bool complete) {
  const std::optional<RecordMark> mark =
      complete ? mark_of(line, fingerprint_) : std::optional<RecordMark>();
  if (!mark) {
    if (begins_like_a_record(line)) {
      return false;
    }
    refuse_foreign(number);
  }
  // Another model's answer counts as one to another request.
  const std::uint64_t request = mark->other_model ? ~mark->request : mark->request;
  if (finished_.find(mark->id)) {
    ++found_.superseded;
  } else {
    ++found_.records;
  }
  finished_.set(mark->id, request);
  found_.other_model += mark->other_model ? 1 : 0;
  return true;
}

BatchOutput::Known BatchOutput::known(std::uint64_t id, std::uint64_t request) const {
  const std::optional<std::uint64_t> before = finished_.find(id);
  return !before ? Known::no : *before == request ? Known::same : Known::changed;
}

void BatchOutput::append(const RecordMark& mark, const std::string& line) {
  pending_ += line;
  if (!stream_ && finished_.find(mark.id)) {
    replaced_.set(mark.id, mark.request);
  }
}

void BatchOutput::write_out() {
  if (pending_.empty()) {
    return;
  }
  const std::string bytes = std::exchange(pending_, {});
  if (stream_) {
    if (const int error = write_all(file_.get(), bytes); error != 0) {
      fail_write(bytes.size(), error);
    }
    return;
  }
  if (const auto now = Clock::now(); now - looked_ >= kBetweenLooksAtLock) {
    lock_->require_ours();
    looked_ = now;
  }
  ssize_t wrote = -1;
  do {
    wrote = write(file_.get(), bytes.data(), bytes.size());
  } while (wrote < 0 && errno == EINTR);
  if (wrote != static_cast<ssize_t>(bytes.size())) {
    // A short write means that there is no room for more: the next one would say so.
    fail_write(bytes.size(), wrote < 0 ? errno : ENOSPC);
  }
  size_ += bytes.size();
  if (const int error = sync_->written(); error != 0) {
    fail_write(bytes.size(), error);
  }
}

void BatchOutput::fail_write(std::size_t bytes, int error) {
  failed_ = true;
  if (!stream_) {
    // Best effort: the next run cuts a torn line just as well.
    static_cast<void>(!ftruncate(file_.get(), static_cast<off_t>(size_)));
    sync_->sync();
  }
  throw Error(fmt::format(
      "{}: cannot write {} bytes of answers: {}; what was written before is kept: run the same "
      "command again once there is room",
      stream_ ? std::string("standard output") : path_.string(), bytes, std::strerror(error)));
}

void BatchOutput::sync() {
  write_out();
  if (sync_) {
    if (const int error = sync_->sync(); error != 0) {
      fail_write(0, error);
    }
  }
}

void BatchOutput::finish() {
  sync();
  if (replaced_.size() > 0) {
    IdTable kept;
    rewrite([&](const RecordMark& mark) {
      const std::optional<std::uint64_t> now = replaced_.find(mark.id);
      return (!now || (!mark.other_model && *now == mark.request)) && kept.add(mark.id, 0);
    });
    replaced_ = IdTable();
  }
  sync_.reset();
  lock_.reset();
}

// Copies the lines that are kept to a new file that takes the old one's name when it is whole.
void BatchOutput::rewrite(const Keep& keep) {
  if (lseek(file_.get(), 0, SEEK_SET) != 0) {
    fail(path_, "cannot be read again");
  }
  if (lock_) {
    lock_->require_ours();
  }
  OutputFile next(path_, true);
  LineReader lines(file_.get(), kLongestRecord);
  std::string_view line;
  std::string block;
  std::uint64_t written = 0;
  const auto flush = [&] {
    if (const int error = write_at(next.file(), written, std::as_bytes(std::span(block)));
        error != 0) {
      next.fail("dropping records that were answered anew", error, block.size());
    }
    written += block.size();
    block.clear();
  };
  constexpr std::size_t kBlock = std::size_t{1} << 20;
  while (lines.next(line)) {
    const std::optional<RecordMark> mark = mark_of(line, fingerprint_);
    if (mark && keep(*mark)) {
      block.append(line).push_back('\n');
    }
    if (block.size() >= kBlock) {
      flush();
    }
  }
  flush();
  next.keep();
  const bool was_syncing = sync_.has_value();
  sync_.reset();
  file_ = FileDescriptor(open(path_.c_str(), O_RDWR | O_APPEND | O_CLOEXEC));
  if (!file_.valid()) {
    fail(path_, "cannot be opened again");
  }
  if (was_syncing) {
    sync_.emplace(file_.get(), std::chrono::milliseconds(0));
  }
  size_ = written;
}

}  // namespace tutti
