// Own kernels for small messages on NCCL's device interface: every rank writes what it has straight
// into its peers' memory and adds what arrives, in one launch. Part of the device library.
#pragma once

#include <memory>

#include "runtime/comm/nccl_handle.hpp"

namespace tutti {

class NcclFused {
 public:
  // Collective. `stop` is host memory that the device reads: not 0 ends all waiting in kernels,
  // with wrong sums. Errors: CommError where NCCL has no device interface for this group.
  NcclFused(NcclHandle& handle, int rank, int ranks, const int* stop, const NcclOptions& options);
  ~NcclFused();  // keeps what close() was not called for
  NcclFused(const NcclFused&) = delete;
  NcclFused& operator=(const NcclFused&) = delete;

  // By type and shape alone, so that all ranks decide alike.
  bool takes(const TensorView& x) const;
  bool takes(const AddRmsnormArgs& args) const;

  // x += what the others hold, in f32 in rank order, rounded once to x's type.
  void sum(const Exec& exec, const TensorView& x);
  // As Communicator::all_reduce_add_rmsnorm; leaves x as it is unless y is x.
  void add_rmsnorm(const Exec& exec, const AddRmsnormArgs& args);

  void close(NcclHandle& handle);

 private:
  struct State;  // nccl_device.h is for device code alone
  std::unique_ptr<State> state_;
};

// What is enqueued next starts when everything before it is done. NCCL's symmetric kernels (2.28.3)
// are themselves launched as dependents, but do not wait for a kernel that has let its dependents
// start early, as ours do: they would read a product that is not there yet.
void wait_for_all_before(const Exec& exec);

}  // namespace tutti
