#include "runtime/weights/staged_load.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "kernels/error.hpp"
#include "kernels/transpose.hpp"

namespace tutti {
namespace {

// Copies that may be under way: enough that the link never waits for the host to enqueue.
constexpr std::size_t kInFlight = 4;
// More threads than this only want more staging memory: eight fill a bus of 50 GB/s.
constexpr std::size_t kMostReaders = 16;
// Blocks that are transposed together: between copies and kernels the stream pauses.
constexpr std::size_t kTogether = 8;
constexpr std::size_t kAlignment = 4096;  // of a block in staging memory

using Layout = WeightSlice::Layout;

struct Slot {
  std::span<std::byte> memory;
  std::unique_ptr<DeviceEvent> copied;
};

struct Filled {
  Slot* slot = nullptr;
  std::size_t block = 0;
  std::span<const std::byte> rows;
};

// Slots go round: free -> filled by a reader -> on its way to the device -> free. Closed by the
// first failure or at the end; then nobody waits any longer.
class Rounds {
 public:
  // Null once closed.
  Slot* take_free() {
    std::unique_lock lock(mutex_);
    freed_.wait(lock, [&] { return closed_ || !free_.empty(); });
    return closed_ ? nullptr : pop(free_);
  }
  // Throws a reader's failure.
  Filled take_filled() {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [&] { return failure_ || !filled_.empty(); });
    if (failure_) {
      std::rethrow_exception(failure_);
    }
    return pop(filled_);
  }
  void give_free(Slot* slot) {
    {
      const std::lock_guard lock(mutex_);
      free_.push_back(slot);
    }
    freed_.notify_one();
  }
  void give_filled(Filled filled) {
    {
      const std::lock_guard lock(mutex_);
      filled_.push_back(filled);
    }
    arrived_.notify_one();
  }
  void fail(std::exception_ptr failure) {
    {
      const std::lock_guard lock(mutex_);
      failure_ = failure_ ? failure_ : std::move(failure);
      closed_ = true;
    }
    freed_.notify_all();
    arrived_.notify_all();
  }
  void close() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    freed_.notify_all();
  }

 private:
  template <typename T>
  static T pop(std::deque<T>& queue) {
    const T first = queue.front();
    queue.pop_front();
    return first;
  }

  std::mutex mutex_;
  std::condition_variable freed_;    // readers wait for it
  std::condition_variable arrived_;  // the caller does
  std::deque<Slot*> free_;
  std::deque<Filled> filled_;
  std::exception_ptr failure_;
  bool closed_ = false;
};

std::size_t readers_of(const FileReading& from) {
  return std::clamp<std::size_t>(static_cast<std::size_t>(std::max(from.options.threads, 1)), 1,
                                 kMostReaders);
}

// The threads that fill slots, each with the next block. Joined at the end, however it comes.
class Readers {
 public:
  Readers(const FileReading& from, const std::vector<SliceBlock>& blocks, Rounds& rounds)
      : from_(from), blocks_(blocks), rounds_(rounds) {
    const std::size_t wanted = std::min(blocks.size(), readers_of(from));
    try {
      for (std::size_t i = 0; i < wanted; ++i) {
        threads_.emplace_back([this] { read(); });
      }
    } catch (const std::system_error& error) {  // fewer where the system gives fewer
      if (threads_.empty()) {
        throw DeviceError(std::string("loading wants a thread that reads: ") + error.what());
      }
    }
  }
  ~Readers() {
    rounds_.close();
    for (std::thread& thread : threads_) {
      thread.join();
    }
  }
  Readers(const Readers&) = delete;
  Readers& operator=(const Readers&) = delete;

 private:
  void read() {
    try {
      while (Slot* slot = rounds_.take_free()) {
        const std::size_t i = next_++;
        if (i >= blocks_.size()) {
          return;
        }
        const auto rows =
            from_.file.read_block(blocks_[i].block, from_.options.check, slot->memory);
        from_.tell(rows.size());
        rounds_.give_filled({.slot = slot, .block = i, .rows = rows});
      }
    } catch (...) {
      rounds_.fail(std::current_exception());
    }
  }

  const FileReading& from_;
  const std::vector<SliceBlock>& blocks_;
  Rounds& rounds_;
  std::atomic<std::size_t> next_ = 0;
  std::vector<std::thread> threads_;
};

// Bytes of the largest block, of all or of those that are transposed, rounded up.
std::size_t largest(const FileReading& from, const std::vector<SliceBlock>& blocks,
                    bool transposed_only) {
  std::size_t bytes = 0;
  for (const SliceBlock& block : blocks) {
    if (!transposed_only || block.slice->layout == Layout::transposed) {
      bytes = std::max(bytes, from.file.bytes(block.block));
    }
  }
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

// Blocks whose rows are to become columns, gathered on the device and turned together. The stream
// keeps their copies and transpositions in turn.
class Transposer {
 public:
  Transposer(Device& device, std::size_t block_bytes)
      : device_(device),
        block_bytes_(block_bytes),
        stored_(device.allocate(kTogether * block_bytes, "blocks to be transposed")) {}

  // Rows of `from` that become columns of `to`.
  void add(std::span<const std::byte> from, const TensorView& to) {
    std::byte* const stored = stored_.data() + waiting_.size() * block_bytes_;
    device_.copy_in(stored, from.data(), from.size());
    waiting_.push_back(
        {.x = TensorView(stored, to.dtype, device_.place(), {to.shape[1], to.shape[0]}), .y = to});
    if (waiting_.size() == kTogether) {
      flush();
    }
  }
  void flush() {
    for (const TransposeArgs& args : waiting_) {
      transpose(device_.exec(), args);
    }
    waiting_.clear();
  }

 private:
  Device& device_;
  std::size_t block_bytes_;
  DeviceMemory stored_;
  std::vector<TransposeArgs> waiting_;
};

class StagedLoad {
 public:
  StagedLoad(Device& device, const FileReading& from, std::span<const WeightSlice> slices)
      : device_(device),
        from_(from),
        blocks_(blocks_of(from, slices)),
        transposer_(device, largest(from, blocks_, true)) {
    const std::size_t bytes = largest(from, blocks_, false);
    const std::size_t count = std::min(blocks_.size(), readers_of(from) + kInFlight + 1);
    staging_ = device.allocate_staging(count * bytes, "the staging memory of the readers");
    for (std::size_t i = 0; i < count; ++i) {
      slots_.push_back(
          {.memory = {staging_.data() + i * bytes, bytes}, .copied = device.make_event()});
    }
  }

  ~StagedLoad() {
    try {
      device_.synchronize();  // copies read the staging memory, also after a failure
    } catch (const Error&) {
      // The failure that is under way says more.
    }
  }
  StagedLoad(const StagedLoad&) = delete;
  StagedLoad& operator=(const StagedLoad&) = delete;

  void run() {
    Rounds rounds;
    for (Slot& slot : slots_) {
      rounds.give_free(&slot);
    }
    const Readers readers(from_, blocks_, rounds);
    std::deque<Slot*> on_the_way;
    for (std::size_t done = 0; done < blocks_.size(); ++done) {
      const Filled filled = rounds.take_filled();
      send(*blocks_[filled.block].slice, blocks_[filled.block].block, filled.rows);
      filled.slot->copied->record();
      on_the_way.push_back(filled.slot);
      if (on_the_way.size() > kInFlight) {
        on_the_way.front()->copied->wait();
        rounds.give_free(on_the_way.front());
        on_the_way.pop_front();
      }
    }
    transposer_.flush();
    device_.synchronize();
  }

 private:
  void send(const WeightSlice& slice, const RowBlock& block, std::span<const std::byte> rows) {
    const Range to{block.wanted.begin - slice.rows.begin, block.wanted.end - slice.rows.begin};
    if (slice.layout == Layout::rows) {
      return device_.copy_in(slice.to.row_slice(to).data, rows.data(), rows.size());
    }
    transposer_.add(rows, slice.to.column_slice(to));
  }

  Device& device_;
  const FileReading& from_;
  std::vector<SliceBlock> blocks_;
  Transposer transposer_;
  DeviceMemory staging_;
  std::vector<Slot> slots_;
};

}  // namespace

void load_staged(Device& device, const FileReading& from, std::span<const WeightSlice> slices) {
  StagedLoad(device, from, slices).run();
}

}  // namespace tutti
