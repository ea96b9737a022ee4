// How a group of GPUs gets its communicator: the host's half, which needs neither NCCL nor a driver
// to be linked. The other half lies in the device library (nccl_entry.cpp).
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "runtime/comm/communicator.hpp"
#include "runtime/device/cuda_library.hpp"

namespace tutti {

struct NcclOptions {
  // Whether all ranks of the group share one node's memory. Only there are symmetric windows and
  // the joined kernel tried. make_gpu_group finds out.
  bool one_node = true;
  std::string host;  // of this rank, for messages

  // Every sum has the same bits on all ranks, as routers of experts want it (decision 0019): a
  // group on more than two nodes then does without sums within its nodes.
  bool equal_bits = false;

  // Switched off by tests and benchmarks, to have the other paths.
  bool symmetric = true;  // shared memory in NCCL's symmetric windows
  bool fused = true;      // own kernels for small messages; want symmetric

  // What the own kernels are offered: larger calls take NCCL's. Their memory on each rank is about
  // 4 * ranks * fused_tokens * fused_row_bytes (4 MiB for two ranks).
  int fused_tokens = 16;
  std::size_t fused_row_bytes = 32768;      // of x; at most 32768
  std::size_t small_sum_bytes = 64 * 1024;  // all_reduce_sum up to here; at most 64 KiB

  // Working memory for gathers of more than one row, on each rank. At least one row of all ranks.
  std::size_t gather_bytes = std::size_t{16} << 20;

  std::chrono::milliseconds join_deadline{120000};  // until all ranks have come, and for set-up
  std::chrono::milliseconds wait_deadline{120000};  // for what Communicator::watch names
  std::chrono::milliseconds abort_deadline{5000};

  // A group of one goes through NCCL as well, for tests on one GPU; otherwise it is a
  // LocalCommunicator.
  bool even_alone = false;
  // NCCL's calls return when they are done: join_deadline means nothing then. For debugging.
  bool blocking = false;
  // Called on this rank's thread: "self-test" once the ranks have joined; and what watch() is told.
  std::function<void(const std::string& name)> stage;
  std::function<void(std::string_view what)> waiting;
  // Called on this rank's thread, with a line each: a path that is not to be had, and why.
  std::function<void(const std::string& message)> warn;
  // Called on the watchdog's thread when the group has failed and was aborted: the place to end the
  // job (MpiSession::abort). The same words are thrown by check() and by the next call.
  std::function<void(const std::string& message)> failed;
};

// Collective over the ranks of `control`, which is used again by allocate_shared and must live
// longer, as must the device. A small sum with a known result is tried on every path before this
// returns. close() it before MPI ends.
// Errors: CommError (a rank did not come within the deadline; NCCL's words; a wrong sum),
// CapacityError (memory).
std::unique_ptr<Communicator> make_nccl_communicator(const CudaLibrary& library, Device& device,
                                                     ControlPlane& control,
                                                     const NcclOptions& options);

// "2.28.9": of the NCCL that is loaded. Errors: DeviceError where the library lacks the entry.
std::string nccl_version(const CudaLibrary& library);

// The types of the entries in the device library.
using MakeNcclCommunicator = Communicator*(Device& device, ControlPlane& control,
                                           const NcclOptions& options);
inline constexpr const char* kMakeNcclCommunicator = "tutti_make_nccl_communicator";
using NcclVersion = int();
inline constexpr const char* kNcclVersion = "tutti_nccl_version";

// 22809 is "2.28.9" (NCCL's coding from 2.9 on).
inline std::string nccl_version_text(int code) {
  return fmt::format("{}.{}.{}", code / 10000, code / 100 % 100, code % 100);
}

}  // namespace tutti
