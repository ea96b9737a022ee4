#include "runtime/comm/hierarchical_communicator.hpp"

#include <utility>

namespace tutti {

HierarchicalCommunicator::HierarchicalCommunicator(std::string name, GroupLevel node,
                                                   GroupLevel between, GroupLevel all,
                                                   std::size_t small_bytes)
    : name_(std::move(name)),
      all_(std::move(all)),
      between_(std::move(between)),
      node_(std::move(node)),
      small_bytes_(small_bytes) {}

void HierarchicalCommunicator::all_reduce_sum(const Exec& exec, const TensorView& x) {
  if (!small(x)) {
    all_.group->all_reduce_sum(exec, x);
    return;
  }
  node_.group->all_reduce_sum(exec, x);
  between_.group->all_reduce_sum(exec, x);
}

void HierarchicalCommunicator::all_reduce_add_rmsnorm(const Exec& exec,
                                                      const AddRmsnormArgs& args) {
  if (!small(args.x)) {
    all_.group->all_reduce_add_rmsnorm(exec, args);
    return;
  }
  node_.group->all_reduce_sum(exec, args.x);
  between_.group->all_reduce_add_rmsnorm(exec, args);
}

void HierarchicalCommunicator::all_gather_columns(const Exec& exec, const TensorView& local,
                                                  std::span<const std::int64_t> columns,
                                                  const TensorView& y) {
  all_.group->all_gather_columns(exec, local, columns, y);
}

void HierarchicalCommunicator::gather_columns(const Exec& exec, const TensorView& local,
                                              std::span<const std::int64_t> columns,
                                              const TensorView& y, int root) {
  all_.group->gather_columns(exec, local, columns, y, root);
}

DeviceMemory HierarchicalCommunicator::allocate_shared(Device& device, std::size_t bytes,
                                                       std::string_view what) {
  return node_.group->allocate_shared(device, bytes, what);
}

void HierarchicalCommunicator::check() {
  for (Communicator* group : groups()) {
    group->check();
  }
}

void HierarchicalCommunicator::watch(std::string_view stage) {
  for (Communicator* group : groups()) {
    group->watch(stage);
  }
}

void HierarchicalCommunicator::close() {
  for (Communicator* group : groups()) {
    group->close();
  }
}

}  // namespace tutti
