#include "runtime/comm/communicator.hpp"

namespace tutti {

void Communicator::all_reduce_add_rmsnorm(const Exec& exec, const AddRmsnormArgs& args) {
  all_reduce_sum(exec, args.x);
  add_rmsnorm(exec, args);
}

DeviceMemory Communicator::allocate_shared(Device& device, std::size_t bytes,
                                           std::string_view what) {
  return device.allocate(bytes, what);
}

std::optional<int> ControlPlane::notified() {
  if (words_.empty()) {
    return std::nullopt;
  }
  const int word = words_.front();
  words_.pop_front();
  return word;
}

std::string first_text(ControlPlane& control, std::string_view mine) {
  for (const auto& bytes : control.all_gather(std::as_bytes(std::span(mine)))) {
    if (!bytes.empty()) {
      return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    }
  }
  return {};
}

}  // namespace tutti
