#include "runtime/comm/nccl_handle.hpp"

#include <fmt/format.h>

#include <atomic>
#include <thread>
#include <utility>

#include "kernels/error.hpp"
#include "runtime/comm/watchdog.hpp"

namespace tutti {
namespace {

using std::chrono::steady_clock;

// How long the watchdog waits for a call that is just being made.
constexpr std::chrono::milliseconds kBriefly{100};

}  // namespace

void throw_nccl_error(ncclResult_t result, const std::string& where, const char* call) {
  const char* last = ncclGetLastError(nullptr);
  throw CommError(fmt::format("{}: {} failed: {}{}", where, call, ncclGetErrorString(result),
                              last == nullptr || *last == '\0' ? "" : fmt::format(" ({})", last)));
}

NcclHandle::NcclHandle(const ncclUniqueId& id, int rank, int ranks, std::string where,
                       const NcclOptions& options)
    : where_(std::move(where)),
      deadline_(options.join_deadline),
      abort_deadline_(options.abort_deadline) {
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = options.blocking ? 1 : 0;
  try {
    run("ncclCommInitRankConfig",
        [&] { return ncclCommInitRankConfig(&comm_, ranks, id, rank, &config); });
  } catch (...) {
    abort_in_time();
    throw;
  }
}

NcclHandle::~NcclHandle() {
  abort_in_time();
}

void NcclHandle::run(const char* what, const std::function<ncclResult_t()>& calls) {
  ncclResult_t result = ncclSuccess;
  {
    const std::lock_guard lock(mutex_);
    result = calls();
  }
  settle(result, what);
}

// A communicator that does not block goes on with a call on a thread of its own; the next call is
// refused until that one is through.
void NcclHandle::settle(ncclResult_t result, const char* what) {
  const auto begin = steady_clock::now();
  while (result == ncclInProgress) {
    const auto waited = steady_clock::now() - begin;
    if (waited > deadline_) {
      throw CommError(fmt::format(
          "{}: {} did not end within {:.1f} s: a rank of the group did not come, or cannot be "
          "reached (NCCL_DEBUG=INFO tells more)",
          where_, what, std::chrono::duration<double>(deadline_).count()));
    }
    if (waited > std::chrono::milliseconds(2)) {
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    } else {
      std::this_thread::yield();
    }
    result = state();
  }
  if (result != ncclSuccess) {
    throw_nccl_error(result, where_, what);
  }
}

void NcclHandle::wait_until(const char* what, const std::function<bool()>& done) {
  constexpr std::chrono::seconds kFilled{5};
  const auto begin = steady_clock::now();
  while (!done() && steady_clock::now() - begin < kFilled) {
    std::this_thread::sleep_for(std::chrono::microseconds(200));
    settle(state(), what);
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }
}

ncclResult_t NcclHandle::state() {
  const std::lock_guard lock(mutex_);
  ncclResult_t async = ncclSuccess;
  const ncclResult_t result = ncclCommGetAsyncError(comm_, &async);
  return result == ncclSuccess ? async : result;
}

std::string NcclHandle::async_error() {
  // A thread that is in a call will see its error itself.
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock.owns_lock() || comm_ == nullptr) {
    return {};
  }
  ncclResult_t async = ncclSuccess;
  const ncclResult_t result = ncclCommGetAsyncError(comm_, &async);
  const ncclResult_t worst = result == ncclSuccess ? async : result;
  if (worst == ncclSuccess || worst == ncclInProgress) {
    return {};
  }
  return fmt::format("NCCL says: {}", ncclGetErrorString(worst));
}

ncclComm_t NcclHandle::take() {
  // Where a call hangs with the lock held, it is to be ended all the same.
  const std::unique_lock lock(mutex_, kBriefly);
  return std::exchange(comm_, nullptr);
}

void NcclHandle::abort() {
  if (ncclComm_t comm = take()) {
    ncclCommAbort(comm);
  }
}

void NcclHandle::abort_in_time() {
  if (ncclComm_t comm = take()) {
    run_with_deadline([comm] { ncclCommAbort(comm); }, abort_deadline_);
  }
}

void NcclHandle::finish() {
  run("ncclCommFinalize", [&] { return ncclCommFinalize(comm_); });
  const std::lock_guard lock(mutex_);
  const ncclResult_t result = ncclCommDestroy(std::exchange(comm_, nullptr));
  if (result != ncclSuccess) {
    throw_nccl_error(result, where_, "ncclCommDestroy");
  }
}

}  // namespace tutti
