// Loading onto a device: several threads read blocks into staging memory while others are on their
// way to the device.
#pragma once

#include "runtime/weights/slice_blocks.hpp"

namespace tutti {

// Fills the slices, which are no vectors; done on return. Readers are options.threads, at most
// 16; the calling thread makes all calls of the device. Holds a block of staging memory for each
// reader and a few more, and of the device's memory eight of the largest that are transposed.
// Errors: those of the file and the device; CapacityError.
void load_staged(Device& device, const FileReading& from, std::span<const WeightSlice> slices);

}  // namespace tutti
