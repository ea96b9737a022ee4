// Little-endian fields as bytes of a string, for files that tests make.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "kernels/dtype.hpp"

namespace tutti::test {

template <typename T>
std::string packed(T value) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}

template <typename T>
std::string packed_all(const std::vector<T>& values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  if (!values.empty()) {
    std::memcpy(bytes.data(), values.data(), bytes.size());
  }
  return bytes;
}

// f32 values as the bytes of `dtype`, rounded to nearest even.
inline std::string packed_as(DType dtype, const std::vector<float>& values) {
  std::string bytes;
  for (float value : values) {
    bytes += dtype == DType::f32   ? packed(value)
             : dtype == DType::f16 ? packed(to_f16(value))
                                   : packed(to_bf16(value));
  }
  return bytes;
}

}  // namespace tutti::test
