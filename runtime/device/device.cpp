#include "runtime/device/device.hpp"

#include <utility>

namespace tutti {

DeviceMemory::DeviceMemory(DeviceMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)),
      free_(std::exchange(other.free_, nullptr)) {}

DeviceMemory& DeviceMemory::operator=(DeviceMemory&& other) noexcept {
  if (this != &other) {
    DeviceMemory old(std::move(*this));
    data_ = std::exchange(other.data_, nullptr);
    bytes_ = std::exchange(other.bytes_, 0);
    free_ = std::exchange(other.free_, nullptr);
  }
  return *this;
}

DeviceMemory::~DeviceMemory() {
  if (data_ != nullptr && free_ != nullptr) {
    free_(data_, bytes_);
  }
}

}  // namespace tutti
