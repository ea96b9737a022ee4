// What a GPU could do at best, measured in the same run as what Tutti does on it.
#pragma once

#include <cstdint>

#include "runtime/device/device.hpp"

namespace tutti {

// Bytes per second of plain reading; takes up to 4 GiB of what is free meanwhile.
double device_read_bandwidth(Device& device);

// Seconds of one product x [tokens, in] with W [out, in] by the library, random numbers, median of
// `repeats`; the weights rotate so that no cache holds them.
double device_gemm_seconds(Device& device, DType dtype, std::int64_t tokens, std::int64_t in,
                           std::int64_t out, int repeats);

}  // namespace tutti
