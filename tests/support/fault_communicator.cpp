#include "tests/support/fault_communicator.hpp"

#include <fmt/format.h>

#include <thread>

#include "kernels/error.hpp"

namespace tutti {

void FaultCommunicator::all_reduce_sum(const Exec& exec, const TensorView& x) {
  count("all_reduce_sum");
  inner_.all_reduce_sum(exec, x);
}

void FaultCommunicator::all_reduce_add_rmsnorm(const Exec& exec, const AddRmsnormArgs& args) {
  count("all_reduce_add_rmsnorm");
  inner_.all_reduce_add_rmsnorm(exec, args);
}

void FaultCommunicator::all_gather_columns(const Exec& exec, const TensorView& local,
                                           std::span<const std::int64_t> columns,
                                           const TensorView& y) {
  count("all_gather_columns");
  inner_.all_gather_columns(exec, local, columns, y);
}

void FaultCommunicator::gather_columns(const Exec& exec, const TensorView& local,
                                       std::span<const std::int64_t> columns, const TensorView& y,
                                       int root) {
  count("gather_columns");
  inner_.gather_columns(exec, local, columns, y, root);
}

void FaultCommunicator::count(std::string_view collective) {
  if (++calls_ != fault_.call || rank() != fault_.rank) {
    return;
  }
  std::this_thread::sleep_for(fault_.delay);
  if (fault_.fail) {
    throw CommError(
        fmt::format("injected fault: {} #{} on rank {} of {}", collective, calls_, rank(), size()));
  }
}

}  // namespace tutti
