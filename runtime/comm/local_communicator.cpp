#include "runtime/comm/local_communicator.hpp"

#include <fmt/format.h>

#include "kernels/error.hpp"

namespace tutti {

CollectiveCall LocalCommunicator::next(std::string_view collective, const Exec& exec) {
  return {.path = name(),
          .collective = collective,
          .sequence = ++sequence_,
          .rank = 0,
          .size = 1,
          .place = exec.place};
}

void LocalCommunicator::all_reduce_sum(const Exec& exec, const TensorView& x) {
  check_all_reduce(next("all_reduce_sum", exec), exec, x);
}

void LocalCommunicator::all_gather_columns(const Exec& exec, const TensorView& local,
                                           std::span<const std::int64_t> columns,
                                           const TensorView& y) {
  gather_columns(exec, local, columns, y, kEveryRank);
}

void LocalCommunicator::gather_columns(const Exec& exec, const TensorView& local,
                                       std::span<const std::int64_t> columns, const TensorView& y,
                                       int root) {
  const CollectiveCall call = next("gather_columns", exec);
  check_gather_columns(call, exec, local, columns, y, root);
  if (exec.place == Place::host) {
    copy_matrix(local, y);
  } else if (local.data != y.data) {
    throw CommError(
        fmt::format("{}: wants y to be local on a device, found two places", describe(call)));
  }
}

}  // namespace tutti
