// The operations of one GPU behind the interface that the host knows.
#pragma once

#include <memory>

#include "kernels/device_ops.hpp"

namespace tutti {

// For the current device and whatever stream each call's Exec names. Takes its workspace at once.
// Errors: DeviceError, CapacityError.
std::unique_ptr<DeviceOps> make_cuda_ops();

}  // namespace tutti
