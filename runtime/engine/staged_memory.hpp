// Device memory that is filled again and again, by one copy each time, from staging memory that is
// not written again before the device has read it.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string_view>

#include "runtime/device/device.hpp"

namespace tutti {

class StagedMemory {
 public:
  // The device must outlive it. `what` is for messages.
  StagedMemory(Device& device, std::size_t bytes, std::string_view what);

  // Staging memory to fill. Waits where the device still reads what was put there two calls ago.
  std::byte* next();
  // Enqueues the copy of the first so many bytes of what next() gave.
  void send(std::size_t bytes);

  std::byte* data() const { return memory_.data(); }  // on the device
  std::size_t bytes() const { return memory_.bytes(); }

 private:
  struct Staging {
    DeviceMemory memory;
    std::unique_ptr<DeviceEvent> copied;
    bool in_flight = false;
  };

  Device& device_;
  DeviceMemory memory_;
  std::array<Staging, 2> staging_;
  std::size_t turn_ = 0;
};

}  // namespace tutti
