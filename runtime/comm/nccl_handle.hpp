// The owner of one ncclComm_t: joins with a deadline, waits for calls that NCCL goes on with by
// itself, ends in order or aborts. Part of the device library.
#pragma once

#include <nccl.h>

#include <chrono>
#include <functional>
#include <mutex>
#include <string>

#include "runtime/comm/nccl_library.hpp"

namespace tutti {

static_assert(NCCL_VERSION_CODE >= NCCL_VERSION(2, 28, 0), "Tutti wants NCCL 2.28 or later");

// Throws CommError "WHERE: CALL failed: NCCL's text (its last words)".
[[noreturn]] void throw_nccl_error(ncclResult_t result, const std::string& where, const char* call);

class NcclHandle {
 public:
  // Collective. `where` begins the messages: "nccl: rank 0 of 2 on node1".
  NcclHandle(const ncclUniqueId& id, int rank, int ranks, std::string where,
             const NcclOptions& options);
  // Aborts, within the deadline for that, where finish() was not called.
  ~NcclHandle();
  NcclHandle(const NcclHandle&) = delete;
  NcclHandle& operator=(const NcclHandle&) = delete;

  ncclComm_t get() const { return comm_; }
  const std::string& where() const { return where_; }

  // Runs `calls`, which returns the last one's result, and waits until NCCL has enqueued all of it
  // (not until the device has done it). Throws CommError, also past the deadline.
  void run(const char* what, const std::function<ncclResult_t()>& calls);

  // Waits some seconds at most until `done`, for results that NCCL's own thread hands over late.
  void wait_until(const char* what, const std::function<bool()>& done);

  // Why the group has failed, in NCCL's words; empty while all is well. From any thread.
  std::string async_error();
  // Ends what hangs, tells nobody. From any thread; may hang itself.
  void abort();
  // Collective: all ranks leave in order.
  void finish();

 private:
  ncclResult_t state();
  ncclComm_t take();
  void abort_in_time();
  void settle(ncclResult_t result, const char* what);

  ncclComm_t comm_ = nullptr;
  std::string where_;
  std::chrono::milliseconds deadline_;
  std::chrono::milliseconds abort_deadline_;
  // NCCL wants one call at a time on a communicator, and its asking how things are is one too.
  std::timed_mutex mutex_;
};

}  // namespace tutti
