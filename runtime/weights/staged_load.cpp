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

// The threads that fill slots, each with the next block. Joined at the end, however it comes.
class Readers {
 public:
  Readers(const FileReading& from, const std::vector<SliceBlock>& blocks, Rounds& rounds)
      : from_(from), blocks_(blocks), rounds_(rounds) {
    const auto wanted =
        std::min(blocks.size(), static_cast<std::size_t>(std::max(from.options.threads, 1)));
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

// Largest block, of all or of those that are transposed.
std::size_t largest(const FileReading& from, const std::vector<SliceBlock>& blocks,
                    bool transposed_only) {
  std::size_t bytes = 0;
  for (const SliceBlock& block : blocks) {
    if (!transposed_only || block.slice->layout == Layout::transposed) {
      bytes = std::max(bytes, from.file.bytes(block.block));
    }
  }
  return bytes;
}

class StagedLoad {
 public:
  StagedLoad(Device& device, const FileReading& from, std::span<const WeightSlice> slices)
      : device_(device),
        from_(from),
        blocks_(blocks_of(from, slices)),
        stored_(device.allocate(largest(from, blocks_, true), "a block to be transposed")) {
    const std::size_t bytes =
        (largest(from, blocks_, false) + kAlignment - 1) / kAlignment * kAlignment;
    const auto readers = static_cast<std::size_t>(std::max(from.options.threads, 1));
    const std::size_t count = std::min(blocks_.size(), readers + kInFlight + 1);
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
    device_.synchronize();
  }

 private:
  void send(const WeightSlice& slice, const RowBlock& block, std::span<const std::byte> rows) {
    const Range to{block.wanted.begin - slice.rows.begin, block.wanted.end - slice.rows.begin};
    if (slice.layout == Layout::rows) {
      return device_.copy_in(slice.to.row_slice(to).data, rows.data(), rows.size());
    }
    // One block of memory serves all: the stream keeps copies and transpositions in turn.
    device_.copy_in(stored_.data(), rows.data(), rows.size());
    transpose(device_.exec(), {.x = TensorView(stored_.data(), slice.to.dtype, device_.place(),
                                               {to.size(), slice.to.rows()}),
                               .y = slice.to.column_slice(to)});
  }

  Device& device_;
  const FileReading& from_;
  std::vector<SliceBlock> blocks_;
  DeviceMemory stored_;
  DeviceMemory staging_;
  std::vector<Slot> slots_;
};

}  // namespace

void load_staged(Device& device, const FileReading& from, std::span<const WeightSlice> slices) {
  StagedLoad(device, from, slices).run();
}

}  // namespace tutti
