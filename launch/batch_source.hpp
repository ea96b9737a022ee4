// What is still to be answered: a thread reads, parses and tokenizes the input a bounded number of
// requests ahead and leaves out what an earlier run has done.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "launch/batch_encoder.hpp"
#include "launch/batch_request.hpp"
#include "launch/id_table.hpp"
#include "runtime/weights/file_descriptor.hpp"

namespace tutti {

// A request to answer, or a refusal to write down.
struct BatchItem {
  BatchRequest request;
  std::vector<TokenId> prompt;
  std::optional<RequestRefusal> refusal;
  std::uint64_t hash = 0;
  bool again = false;  // an earlier run answered another version of it
};

// Which lines are to be answered: those whose number, from 0, is `index` modulo `count`. Blank
// lines have numbers too.
struct BatchShard {
  std::int64_t index = 0;
  std::int64_t count = 1;

  bool has(std::uint64_t line) const {  // numbered from 1, as requests are
    return (line - 1) % static_cast<std::uint64_t>(count) == static_cast<std::uint64_t>(index);
  }
};

// The file or pipe that requests come from.
struct BatchInput {
  // "-": standard input. Errors: ConfigError where it cannot be read.
  static BatchInput open(const std::string& path, const BatchShard& shard = {});

  FileDescriptor file;
  std::string name;
  std::optional<std::uint64_t> size;  // of a plain file, when it was opened
  std::optional<std::uint64_t>
      lines;  // of the shard that are not blank, where counting them was cheap
};

enum class EarlierAnswer : std::uint8_t { none, same, other };

struct BatchSourceOptions {
  BatchDefaults defaults;
  BatchShard shard = {};
  // Any thread: what an earlier run knows of an id and a request.
  std::function<EarlierAnswer(std::uint64_t id, std::uint64_t hash)> earlier;
  std::size_t ahead = 256;              // most items in store
  std::size_t ahead_tokens = 1 << 20;   // … and tokens in them, but for one item
  std::size_t longest_line = 64 << 20;  // bytes
};

struct BatchSourceCounts {
  std::uint64_t lines = 0;    // that were not blank
  std::uint64_t skipped = 0;  // of those, done by an earlier run
  std::uint64_t bytes = 0;    // of the input, read so far
  bool whole = false;         // all of it was read
};

class BatchSource {
 public:
  // Borrows the encoder.
  BatchSource(BatchInput input, const BatchEncoder& encoder, BatchSourceOptions options);
  ~BatchSource();
  BatchSource(const BatchSource&) = delete;
  BatchSource& operator=(const BatchSource&) = delete;

  // Without waiting; nothing where none is ready.
  std::optional<BatchItem> take();
  // Waits until one is ready or none will come.
  void wait(std::chrono::milliseconds longest);
  // None is in store and none will come. Errors: what ended the reading before the end.
  bool ended();
  // Reads no more.
  void stop();

  BatchSourceCounts counts();
  const BatchInput& input() const { return input_; }

 private:
  void run();
  void read_all();
  bool prepare(std::string_view line, std::uint64_t number, bool too_long, BatchItem& item);
  void refuse_double(BatchItem& item);
  bool take_line(std::string_view line, std::uint64_t number, bool too_long);
  bool keep(BatchItem item);
  bool readable();

  BatchInput input_;
  const BatchEncoder& encoder_;
  BatchSourceOptions options_;
  std::string circumstances_;
  IdTable seen_;  // id -> line of the first one; the thread's
  FileDescriptor wake_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<BatchItem> ready_;
  std::size_t tokens_ = 0;
  BatchSourceCounts counts_;
  bool stop_ = false;
  bool done_ = false;
  std::exception_ptr failure_;
  std::thread thread_;
};

}  // namespace tutti
