// Loading onto a device: several threads read blocks into staging memory while others are on their
// way to the device.
#pragma once

#include "runtime/weights/slice_blocks.hpp"

namespace tutti {

// Fills the slices, which are no vectors; done on return. Readers are options.threads; the calling
// thread makes all calls of the device. Holds a block of staging memory for each reader and a few
// more, and of the device's memory the largest block that is transposed. Errors: those of the file
// and the device; CapacityError.
void load_staged(Device& device, const FileReading& from, std::span<const WeightSlice> slices);

}  // namespace tutti
