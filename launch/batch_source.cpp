#include "launch/batch_source.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "launch/line_reader.hpp"

namespace tutti {
namespace {

constexpr std::uint64_t kCheapToCount = std::uint64_t{1} << 30;  // bytes

bool is_blank(std::string_view line) {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

std::optional<std::uint64_t> count_lines(const FileDescriptor& file, std::uint64_t size,
                                         const BatchShard& shard) {
  if (size > kCheapToCount) {
    return std::nullopt;
  }
  constexpr std::size_t kBlock = std::size_t{1} << 20;
  std::vector<std::byte> block(kBlock);
  std::uint64_t lines = 0;
  std::uint64_t number = 1;
  bool blank = true;
  for (std::uint64_t offset = 0; offset < size;) {
    const ReadResult got = read_at(file, offset, block);
    for (std::size_t i = 0; i < got.bytes; ++i) {
      const char c = static_cast<char>(block[i]);
      if (c == '\n') {
        lines += !blank && shard.has(number) ? 1 : 0;
        ++number;
        blank = true;
      } else if (c != ' ' && c != '\t' && c != '\r') {
        blank = false;
      }
    }
    if (got.bytes == 0) {
      break;  // reading says what is wrong
    }
    offset += got.bytes;
  }
  return lines + (!blank && shard.has(number) ? 1 : 0);
}

}  // namespace

BatchInput BatchInput::open(const std::string& path, const BatchShard& shard) {
  BatchInput input{.file = FileDescriptor(path == "-" ? dup(STDIN_FILENO)
                                                      : ::open(path.c_str(), O_RDONLY | O_CLOEXEC)),
                   .name = path == "-" ? std::string("standard input") : path};
  struct stat status {};
  if (!input.file.valid() || fstat(input.file.get(), &status) != 0) {
    throw ConfigError(fmt::format("the input {} cannot be read: {}", path, std::strerror(errno)));
  }
  if (S_ISDIR(status.st_mode)) {
    throw ConfigError(fmt::format("the input {} is a folder: wanted a file of requests", path));
  }
  if (S_ISREG(status.st_mode) && lseek(input.file.get(), 0, SEEK_CUR) == 0) {
    input.size = static_cast<std::uint64_t>(status.st_size);
    input.lines = count_lines(input.file, *input.size, shard);
  }
  return input;
}

BatchSource::BatchSource(BatchInput input, const BatchEncoder& encoder, BatchSourceOptions options)
    : input_(std::move(input)),
      encoder_(encoder),
      options_(std::move(options)),
      circumstances_(encoder.circumstances()),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      thread_([this] { run(); }) {}

BatchSource::~BatchSource() {
  stop();
  thread_.join();
}

void BatchSource::stop() {
  const std::lock_guard lock(mutex_);
  stop_ = true;
  const std::uint64_t one = 1;
  static_cast<void>(!write(wake_.get(), &one, sizeof one));
  changed_.notify_all();
}

std::optional<BatchItem> BatchSource::take() {
  const std::lock_guard lock(mutex_);
  if (ready_.empty()) {
    return std::nullopt;
  }
  std::optional<BatchItem> item(std::move(ready_.front()));
  ready_.pop_front();
  tokens_ -= item->prompt.size();
  changed_.notify_all();
  return item;
}

void BatchSource::wait(std::chrono::milliseconds longest) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, longest, [this] { return !ready_.empty() || done_; });
}

bool BatchSource::ended() {
  const std::lock_guard lock(mutex_);
  if (!done_ || !ready_.empty()) {
    return false;
  }
  if (failure_) {
    std::rethrow_exception(std::exchange(failure_, nullptr));
  }
  return true;
}

BatchSourceCounts BatchSource::counts() {
  const std::lock_guard lock(mutex_);
  return counts_;
}

void BatchSource::run() {
  std::exception_ptr failure;
  try {
    read_all();
  } catch (...) {
    failure = std::current_exception();
  }
  const std::lock_guard lock(mutex_);
  failure_ = std::move(failure);  // from here on the other thread's alone
  done_ = true;
  changed_.notify_all();
}

// Waits for input; false where the reading is to end. A pipe may say nothing for hours.
bool BatchSource::readable() {
  std::array<pollfd, 2> wanted = {pollfd{.fd = input_.file.get(), .events = POLLIN, .revents = 0},
                                  pollfd{.fd = wake_.get(), .events = POLLIN, .revents = 0}};
  while (poll(wanted.data(), wanted.size(), -1) < 0 && errno == EINTR) {
  }
  return wanted[1].revents == 0;
}

void BatchSource::read_all() {
  LineReader lines(input_.file.get(), options_.longest_line, [this] { return readable(); });
  std::string_view line;
  for (std::uint64_t number = 1;; ++number) {
    bool more = false;
    try {
      more = lines.next(line);
    } catch (const Error& error) {
      throw Error(fmt::format("{}: {} (line {})", input_.name, error.what(), number));
    }
    const bool whole = more && lines.complete();
    if (!whole && input_.size && lines.end() < *input_.size) {
      const std::lock_guard lock(mutex_);
      if (stop_) {
        return;
      }
      throw Error(fmt::format("{} was cut while it was read: wanted {} bytes, found {}",
                              input_.name, *input_.size, lines.end()));
    }
    if (number == 1 && line.starts_with("\xEF\xBB\xBF")) {
      line.remove_prefix(3);
    }
    if (!more) {
      const std::lock_guard lock(mutex_);
      counts_.whole = !stop_;
      return;
    }
    if (options_.shard.has(number) && !is_blank(line) &&
        !take_line(line, number, lines.too_long())) {
      return;
    }
    const std::lock_guard lock(mutex_);
    counts_.bytes = lines.end();
    if (stop_) {
      return;
    }
  }
}

// False where the reading is to end.
bool BatchSource::take_line(std::string_view line, std::uint64_t number, bool too_long) {
  BatchItem item;
  const bool wanted = prepare(line, number, too_long, item);
  {
    const std::lock_guard lock(mutex_);
    if (stop_) {
      return false;  // the line may have been cut by the stop
    }
    ++counts_.lines;
    counts_.skipped += wanted ? 0 : 1;
  }
  return !wanted || keep(std::move(item));
}

// False where an earlier run has done it.
bool BatchSource::prepare(std::string_view line, std::uint64_t number, bool too_long,
                          BatchItem& item) {
  if (options_.defaults.raw_text && line.ends_with('\r')) {
    line.remove_suffix(1);
  }
  ParsedLine parsed;
  if (too_long) {
    parsed.request.custom_id = fmt::format("line-{}", number);
    parsed.request.line = number;
    parsed.refusal = {
        .code = "line_too_long",
        .message = fmt::format("the line has more than {} bytes", options_.longest_line)};
  } else {
    parsed = parse_batch_line(line, number, options_.defaults);
  }
  item.request = std::move(parsed.request);
  item.refusal = std::move(parsed.refusal);
  refuse_double(item);
  const std::uint64_t id = hash_of_id(item.request.custom_id);
  EarlierAnswer earlier = EarlierAnswer::none;
  if (!item.refusal) {
    item.hash = hash_of(item.request, circumstances_);
    earlier = options_.earlier(id, item.hash);
    if (earlier == EarlierAnswer::same) {
      return false;
    }
    try {
      item.prompt = encoder_.encode(item.request);
    } catch (const RequestRefused& refused) {
      item.refusal = {.code = refused.code, .message = refused.what()};
    }
  }
  if (item.refusal) {
    item.hash = hash_of(*item.refusal, line);
    earlier = options_.earlier(id, item.hash);
  }
  item.again = earlier == EarlierAnswer::other;
  return earlier != EarlierAnswer::same;
}

// The first of several lines with one id has it; the record of another is named by its line, so
// that each id stands in the output once.
void BatchSource::refuse_double(BatchItem& item) {
  BatchRequest& request = item.request;
  std::uint64_t id = hash_of_id(request.custom_id);
  if (seen_.add(id, request.line)) {
    return;
  }
  item.refusal = {
      .code = "duplicate_custom_id",
      .message = fmt::format("'{}' is the custom_id of line {} already, which is the one "
                             "that is answered",
                             request.custom_id, *seen_.find(id))};
  request.custom_id = fmt::format("line-{}", request.line);
  while (!seen_.add(hash_of_id(request.custom_id), request.line)) {
    request.custom_id += "-again";
  }
}

bool BatchSource::keep(BatchItem item) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] {
    return stop_ || ready_.empty() ||
           (ready_.size() < options_.ahead && tokens_ < options_.ahead_tokens);
  });
  if (stop_) {
    return false;
  }
  tokens_ += item.prompt.size();
  ready_.push_back(std::move(item));
  changed_.notify_all();
  return true;
}

}  // namespace tutti
