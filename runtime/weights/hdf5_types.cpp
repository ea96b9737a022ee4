#include "runtime/weights/hdf5_types.hpp"

#include <fmt/format.h>

#include "kernels/error.hpp"

namespace tutti {
namespace {

// A 16-bit float: sign in bit 15, exponent above the mantissa. The order of the calls matters:
// fields must fit the precision, and the precision the size, after each of them.
Hdf5Handle float16_type(std::size_t mantissa_bits, std::size_t exponent_bits, std::size_t bias) {
  Hdf5Handle type(H5Tcopy(H5T_IEEE_F32LE), H5Tclose);
  if (!type.valid() ||
      H5Tset_fields(type.get(), 15, mantissa_bits, exponent_bits, 0, mantissa_bits) < 0 ||
      H5Tset_precision(type.get(), 16) < 0 || H5Tset_size(type.get(), 2) < 0 ||
      H5Tset_ebias(type.get(), bias) < 0) {
    throw Error(fmt::format("HDF5 cannot make a 16-bit float type: {}", hdf5_error_text()));
  }
  return type;
}

const char* class_name(H5T_class_t type_class) {
  switch (type_class) {
    case H5T_INTEGER:
      return "integer";
    case H5T_FLOAT:
      return "float";
    case H5T_STRING:
      return "string";
    case H5T_OPAQUE:
      return "opaque type";
    case H5T_COMPOUND:
      return "compound";
    default:
      return "type";
  }
}

}  // namespace

Hdf5Handle hdf5_type(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return {H5Tcopy(H5T_IEEE_F32LE), H5Tclose};
    case DType::f16:
      return float16_type(10, 5, 15);
    case DType::bf16:
      return float16_type(7, 8, 127);
    case DType::i32:
      return {H5Tcopy(H5T_STD_I32LE), H5Tclose};
  }
  throw Error("unknown element type");
}

std::optional<DType> dtype_of(hid_t type) {
  for (DType dtype : {DType::f32, DType::f16, DType::bf16, DType::i32}) {
    if (H5Tequal(type, hdf5_type(dtype).get()) > 0) {
      return dtype;
    }
  }
  return std::nullopt;
}

std::string describe_type(hid_t type) {
  return fmt::format("{} of {} bits", class_name(H5Tget_class(type)), H5Tget_size(type) * 8);
}

}  // namespace tutti
