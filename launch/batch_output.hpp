// The journal of a batch: records are appended and made durable, and the next run finds out what is
// there already.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "launch/batch_record.hpp"
#include "launch/file_sync.hpp"
#include "launch/id_table.hpp"
#include "launch/output_lock.hpp"
#include "runtime/weights/file_descriptor.hpp"

namespace tutti {

enum class ExistingOutput : std::uint8_t { resume, refuse, replace };

struct BatchOutputOptions {
  std::string path;  // "-": standard output, which nobody resumes, like every file that is none
  ExistingOutput existing = ExistingOutput::resume;
  std::chrono::milliseconds flush{5000};  // work that a crash of the machine may cost; 0: none
  std::string fingerprint;                // of the model that answers
  OutputLock::Times lock;
};

// What the output held when this run came to it.
struct FoundOutput {
  std::uint64_t records = 0;
  std::uint64_t other_model = 0;  // of those, by another model
  std::uint64_t superseded = 0;   // answered again later on in the file, dropped
  std::uint64_t damaged = 0;      // lines of ours that cannot be read, dropped
  std::uint64_t torn_bytes = 0;   // of a last line that was not written whole, cut
};

class BatchOutput {
 public:
  // Takes the lock, reads what is there and cuts what is torn. Errors: ConfigError (the output is
  // there and must not be, is in use, is no output of this program: it is left as it was); Error.
  explicit BatchOutput(const BatchOutputOptions& options);
  ~BatchOutput();  // keeps what was appended, as far as it can be written
  BatchOutput(const BatchOutput&) = delete;
  BatchOutput& operator=(const BatchOutput&) = delete;

  const FoundOutput& found() const { return found_; }
  const OutputLock* lock() const { return lock_ ? &*lock_ : nullptr; }

  enum class Known : std::uint8_t { no, same, changed };
  // Any thread. Was this very request answered, or one of that id, by an earlier run?
  Known known(std::uint64_t id, std::uint64_t request) const;

  // `line` ends in a line break. It is written by the next write_out().
  void append(const RecordMark& mark, const std::string& line);
  // One write(2) for all that was appended; on the disk at the latest `flush` after.
  // Errors: Error that says what the system said; the file then ends in a whole record.
  void write_out();
  // All is on the disk after this.
  void sync();
  // The last call: on the disk, and each id once. Takes records out that were answered anew.
  void finish();

 private:
  using Keep = std::function<bool(const RecordMark&)>;
  void open_stream(const BatchOutputOptions& options);
  void open_file(const BatchOutputOptions& options);
  void scan();
  bool look_at_line(std::string_view line, std::uint64_t number, bool complete);
  [[noreturn]] void refuse_foreign(std::uint64_t number) const;
  void rewrite(const Keep& keep);
  [[noreturn]] void fail_write(std::size_t bytes, int error);

  std::filesystem::path path_;
  std::string fingerprint_;
  std::optional<OutputLock> lock_;
  FileDescriptor file_;
  std::optional<FileSync> sync_;
  bool stream_ = false;
  bool failed_ = false;
  std::chrono::steady_clock::time_point looked_;  // at the lock
  std::uint64_t size_ = 0;                        // bytes of whole records in the file
  std::string pending_;
  IdTable finished_;  // id -> request, of earlier runs; constant once open
  IdTable replaced_;  // the same of those that this run answered anew
  FoundOutput found_;
};

}  // namespace tutti
