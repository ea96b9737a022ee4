// One group of ranks that computes together, and the plain bytes that its hosts exchange.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/rmsnorm.hpp"
#include "runtime/device/device.hpp"

namespace tutti {

// Tensor collectives. Every call is collective unless said otherwise: all ranks of the group, same
// order, same shapes unless said otherwise; it runs at exec.place, enqueued on exec.stream where
// that is a device (nothing waits there, and a graph may record it). A group of one does nothing.
// Errors: CommError, naming the collective and its sequence number.
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  // "mpi", "threads", "nccl symmetric", …: what the banner calls this path; says which one is live.
  virtual std::string_view name() const = 0;

  // x [rows, columns] f32, on a device also f16 or bf16 and at a multiple of 16 bytes, dense: on
  // every rank the sum over the ranks. All ranks hold the same bits, but for hierarchical groups on
  // more than two nodes (NcclOptions::equal_bits leaves those out). On the host, and on NCCL's
  // small-message path, the sum is made in f32 in rank order, whatever the size of the message, and
  // rounded once; other device paths choose their own order, and plain NCCL rounds f16 and bf16
  // after each addition.
  virtual void all_reduce_sum(const Exec& exec, const TensorView& x) = 0;

  // residual += sum over the ranks of x;  y = rmsnorm(residual): what joins two sublayers. Types
  // and shapes as of add_rmsnorm (kernels/rmsnorm.hpp), equal on all ranks, x dense; y may be x. x
  // holds the sum afterwards, or what it held before. As two operations unless a path fuses them;
  // fused, the sum reaches the residual in f32, without a rounding to x's type.
  virtual void all_reduce_add_rmsnorm(const Exec& exec, const AddRmsnormArgs& args);

  // local [rows, columns[rank]] f32 on each rank; y [rows, sum of columns] f32 on every rank: the
  // columns of rank 0, then of rank 1, …
  virtual void all_gather_columns(const Exec& exec, const TensorView& local,
                                  std::span<const std::int64_t> columns, const TensorView& y) = 0;
  // The same with y on the root only, which costs a host group less traffic. Hosts only.
  virtual void gather_columns(const Exec& exec, const TensorView& local,
                              std::span<const std::int64_t> columns, const TensorView& y,
                              int root) = 0;

  // Collective, same bytes on all ranks. Memory of the device that this group's collectives are
  // fastest with; x of the calls above may lie in it or elsewhere, at the same offset on all ranks.
  // It lasts until close() or the group's end, whatever becomes of the owner that is returned.
  virtual DeviceMemory allocate_shared(Device& device, std::size_t bytes, std::string_view what);
  // Not collective: whether the ranks reach each other's memory. The same on all of them.
  virtual bool shares_memory() const { return false; }

  // Not collective, costs next to nothing: throws CommError where this group is known to have
  // failed. For loops that wait for the device.
  virtual void check() {}
  // Not collective. Says what this rank's host waits for from now on ("decode step 12"), or that it
  // waits for nothing (""). A group with a watchdog is aborted when that takes too long.
  virtual void watch(std::string_view stage) { static_cast<void>(stage); }

  // Collective, once, when this group's work is done and every graph that recorded some of it is
  // gone (NCCL waits for that): gives back what the group holds. A group that ends without it tells
  // its peers nothing.
  virtual void close() {}
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

  // Not collective, waits for nobody. A word for rank 0, which may be anywhere: it is heard there
  // by notified() some time later, once for each, or not at all where the group ends before.
  virtual void notify_root(int word) { words_.push_back(word); }
  // Rank 0. The next word that has come.
  virtual std::optional<int> notified();
  // `hook` is called again and again while this rank waits for the root in broadcast(), at the
  // least once each time; it may call notify_root().
  void while_waiting(std::function<void()> hook) { hook_ = std::move(hook); }

 protected:
  void wait_on() const {
    if (hook_) {
      hook_();
    }
  }

 private:
  std::function<void()> hook_;
  std::deque<int> words_;  // of rank 0 to itself
};

// Collective. The text of the lowest rank that has any, the same on all ranks; empty where none
// has.
std::string first_text(ControlPlane& control, std::string_view mine);

}  // namespace tutti
