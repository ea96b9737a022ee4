// Host memory that is pinned for copies to and from GPUs.
#pragma once

#include "runtime/device/device.hpp"

namespace tutti {

// Large pieces lie in huge pages, which are pinned several times as fast. Errors: CapacityError,
// DeviceError.
DeviceMemory allocate_pinned(std::size_t bytes);

}  // namespace tutti
