// Our element types as HDF5 types, stored exactly so: little-endian, never converted.
#pragma once

#include <optional>
#include <string>

#include "kernels/dtype.hpp"
#include "runtime/weights/hdf5_handle.hpp"

namespace tutti {

// bf16 and f16 are real HDF5 float types of 16 bits. Within an Hdf5Scope.
Hdf5Handle hdf5_type(DType dtype);

// Ours that equals the type, or nothing. Within an Hdf5Scope.
std::optional<DType> dtype_of(hid_t type);

// "float of 64 bits", for messages. Within an Hdf5Scope.
std::string describe_type(hid_t type);

}  // namespace tutti
