// One group of ranks that computes together, and the plain bytes that its hosts exchange.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "kernels/exec.hpp"

namespace tutti {

// Tensor collectives. Every call is collective: all ranks of the group, same order, same shapes
// unless said otherwise; it runs at exec.place, enqueued on exec.stream where that is a device.
// A group of one does nothing. Errors: CommError, naming the collective and its sequence number.
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  // "mpi", "threads", "nccl symmetric", …: what the banner calls this path.
  virtual std::string_view name() const = 0;

  // x [rows, columns] f32, dense: on every rank the sum over the ranks, added in rank order, so
  // that all ranks hold the same bits whatever the size of the message.
  virtual void all_reduce_sum(const Exec& exec, const TensorView& x) = 0;

  // local [rows, columns[rank]] f32 on each rank; y [rows, sum of columns] f32 on the root only:
  // the columns of rank 0, then of rank 1, …
  virtual void gather_columns(const Exec& exec, const TensorView& local,
                              std::span<const std::int64_t> columns, const TensorView& y,
                              int root) = 0;
};

// Host bytes: plans, ids, fingerprints. Collective calls in the same order on all ranks, like the
// above. A rank that waits here for long (for a person, say) does not burn its core.
class ControlPlane {
 public:
  virtual ~ControlPlane() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;

  // Root's bytes to everyone; the length need not be known elsewhere.
  virtual void broadcast(std::vector<std::byte>& bytes, int root) = 0;
  // Everyone's bytes on everyone, in rank order; lengths may differ.
  virtual std::vector<std::vector<std::byte>> all_gather(std::span<const std::byte> bytes) = 0;
  virtual void barrier() = 0;
};

}  // namespace tutti
