// The group of one rank, on the host or on a device: there is nobody to talk to.
#pragma once

#include "runtime/comm/collective_call.hpp"
#include "runtime/comm/communicator.hpp"

namespace tutti {

// Checks its arguments as the others do and leaves x as it is. A gather wants y to be local itself
// on a device, since nothing is copied there.
class LocalCommunicator final : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  std::string_view name() const override { return "one rank"; }

  void all_reduce_sum(const Exec& exec, const TensorView& x) override;
  void all_gather_columns(const Exec& exec, const TensorView& local,
                          std::span<const std::int64_t> columns, const TensorView& y) override;
  void gather_columns(const Exec& exec, const TensorView& local,
                      std::span<const std::int64_t> columns, const TensorView& y,
                      int root) override;

 private:
  CollectiveCall next(std::string_view collective, const Exec& exec);

  std::uint64_t sequence_ = 0;
};

}  // namespace tutti
