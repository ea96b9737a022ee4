#include "runtime/comm/thread_group.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>

#include "kernels/error.hpp"
#include "runtime/comm/collective_call.hpp"
#include "runtime/comm/ordered_sum.hpp"
#include "runtime/comm/thread_meeting.hpp"

namespace tutti {
namespace {

class ThreadCommunicator final : public Communicator {
 public:
  ThreadCommunicator(ThreadMeeting& meeting, int rank) : meeting_(meeting), rank_(rank) {}

  int rank() const override { return rank_; }
  int size() const override { return meeting_.size(); }
  std::string_view name() const override { return "threads"; }

  void all_reduce_sum(const Exec& exec, const TensorView& x) override {
    const CollectiveCall call = next("all_reduce_sum");
    check_all_reduce(call, exec, x);
    if (size() == 1) {
      return;
    }
    meeting_.exchange(rank_,
                      {.call = fmt::format("all_reduce_sum #{} of {}", sequence_, describe(x)),
                       .data = x.data,
                       .bytes = x.bytes()},
                      [&] { add_my_piece(static_cast<std::size_t>(x.elements())); });
  }

  void all_gather_columns(const Exec& exec, const TensorView& local,
                          std::span<const std::int64_t> columns, const TensorView& y) override {
    gather("all_gather_columns", exec, local, columns, y, kEveryRank);
  }

  void gather_columns(const Exec& exec, const TensorView& local,
                      std::span<const std::int64_t> columns, const TensorView& y,
                      int root) override {
    gather("gather_columns", exec, local, columns, y, root);
  }

 private:
  CollectiveCall next(std::string_view collective) {
    return {.path = name(),
            .collective = collective,
            .sequence = ++sequence_,
            .rank = rank_,
            .size = size()};
  }

  void gather(std::string_view collective, const Exec& exec, const TensorView& local,
              std::span<const std::int64_t> columns, const TensorView& y, int root) {
    check_gather_columns(next(collective), exec, local, columns, y, root);
    TensorView mine = local;
    meeting_.exchange(rank_,
                      {.call = fmt::format("{} #{} of {} rows, [{}] columns to {}", collective,
                                           sequence_, local.rows(), fmt::join(columns, ", "), root),
                       .data = &mine,
                       .bytes = local.bytes()},
                      [&] {
                        for (int rank = 0; rank < size() && (root == kEveryRank || rank_ == root);
                             ++rank) {
                          const std::int64_t begin = columns_before(columns, rank);
                          const std::int64_t end = begin + columns[static_cast<std::size_t>(rank)];
                          copy_matrix(*static_cast<const TensorView*>(meeting_.offer(rank).data),
                                      y.column_slice({begin, end}));
                        }
                      });
  }

  // Each rank adds one piece and hands it to everyone; the pieces do not overlap.
  void add_my_piece(std::size_t count) {
    const std::size_t begin = piece_begin(count, rank_, size());
    const std::size_t length = piece_begin(count, rank_ + 1, size()) - begin;
    std::vector<const float*> parts;
    parts.reserve(static_cast<std::size_t>(size()));
    for (int rank = 0; rank < size(); ++rank) {
      parts.push_back(static_cast<const float*>(meeting_.offer(rank).data) + begin);
    }
    std::vector<float> sum(length);
    ordered_sum(parts, length, sum.data());
    for (int rank = 0; rank < size(); ++rank) {
      std::copy(sum.begin(), sum.end(), static_cast<float*>(meeting_.offer(rank).data) + begin);
    }
  }

  ThreadMeeting& meeting_;
  int rank_;
  std::uint64_t sequence_ = 0;
};

// What ranks have told the root.
struct ThreadWords {
  std::mutex mutex;
  std::deque<int> words;
};

class ThreadControlPlane final : public ControlPlane {
 public:
  ThreadControlPlane(ThreadMeeting& meeting, ThreadWords& words, int rank)
      : meeting_(meeting), words_(words), rank_(rank) {}

  int rank() const override { return rank_; }
  int size() const override { return meeting_.size(); }

  void broadcast(std::vector<std::byte>& bytes, int root) override {
    if (root < 0 || root >= size()) {
      throw CommError(
          fmt::format("threads: broadcast #{} on rank {} wants a root in 0..{}, found {}",
                      sequence_ + 1, rank_, size() - 1, root));
    }
    if (rank_ != root) {
      wait_on();
    }
    exchange(fmt::format("broadcast from {}", root), &bytes, bytes.size(), [&] {
      if (rank_ != root) {
        bytes = *static_cast<const std::vector<std::byte>*>(meeting_.offer(root).data);
      }
    });
  }

  std::vector<std::vector<std::byte>> all_gather(std::span<const std::byte> bytes) override {
    std::vector<std::byte> mine(bytes.begin(), bytes.end());
    std::vector<std::vector<std::byte>> all;
    exchange("all_gather", mine.data(), mine.size(), [&] {
      for (int rank = 0; rank < size(); ++rank) {
        const auto* data = static_cast<const std::byte*>(meeting_.offer(rank).data);
        all.emplace_back(data, data + meeting_.offer(rank).bytes);
      }
    });
    return all;
  }

  void barrier() override {
    exchange("barrier", nullptr, 0, [] {});
  }

  void notify_root(int word) override {
    const std::lock_guard lock(words_.mutex);
    words_.words.push_back(word);
  }

  std::optional<int> notified() override {
    const std::lock_guard lock(words_.mutex);
    if (words_.words.empty()) {
      return std::nullopt;
    }
    const int word = words_.words.front();
    words_.words.pop_front();
    return word;
  }

 private:
  void exchange(const std::string& what, void* data, std::size_t bytes,
                const std::function<void()>& work) {
    meeting_.exchange(
        rank_,
        {.call = fmt::format("{} (control #{})", what, ++sequence_), .data = data, .bytes = bytes},
        work);
  }

  ThreadMeeting& meeting_;
  ThreadWords& words_;
  int rank_;
  std::uint64_t sequence_ = 0;
};

// What one failed rank tells the others.
std::string reason(int rank) {
  try {
    throw;
  } catch (const std::exception& error) {
    return fmt::format("rank {} failed: {}", rank, error.what());
  } catch (...) {
    return fmt::format("rank {} failed", rank);
  }
}

}  // namespace

struct ThreadGroup::Impl {
  explicit Impl(int ranks) : tensors(gate, ranks), bytes(gate, ranks) {
    for (int rank = 0; rank < ranks; ++rank) {
      communicators.push_back(std::make_unique<ThreadCommunicator>(tensors, rank));
      controls.push_back(std::make_unique<ThreadControlPlane>(bytes, words, rank));
    }
  }

  ThreadGate gate;
  ThreadMeeting tensors;
  ThreadMeeting bytes;
  ThreadWords words;
  std::vector<std::unique_ptr<ThreadCommunicator>> communicators;
  std::vector<std::unique_ptr<ThreadControlPlane>> controls;
};

ThreadGroup::ThreadGroup(int ranks) {
  if (ranks < 1) {
    throw ConfigError(fmt::format("a group of threads wants 1 rank or more, found {}", ranks));
  }
  impl_ = std::make_unique<Impl>(ranks);
}

ThreadGroup::~ThreadGroup() = default;

int ThreadGroup::size() const {
  return impl_->tensors.size();
}

Communicator& ThreadGroup::communicator(int rank) {
  return *impl_->communicators.at(static_cast<std::size_t>(rank));
}

ControlPlane& ThreadGroup::control(int rank) {
  return *impl_->controls.at(static_cast<std::size_t>(rank));
}

void ThreadGroup::poison(const std::string& why) {
  impl_->gate.poison(why);
}

void ThreadGroup::leave(int rank) {
  impl_->gate.leave(rank);
}

void run_ranks(int ranks, const RankFunction& fn) {
  ThreadGroup group(ranks);
  std::mutex mutex;
  std::exception_ptr first;
  const auto body = [&](int rank) {
    try {
      fn(rank, group.communicator(rank), group.control(rank));
      group.leave(rank);
    } catch (...) {
      {
        const std::lock_guard lock(mutex);
        first = first ? first : std::current_exception();
      }
      group.poison(reason(rank));
    }
  };
  {
    std::vector<std::jthread> threads;
    threads.reserve(static_cast<std::size_t>(ranks));
    for (int rank = 0; rank < ranks; ++rank) {
      threads.emplace_back(body, rank);
    }
  }
  if (first) {
    std::rethrow_exception(first);
  }
}

}  // namespace tutti
