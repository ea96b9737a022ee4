// The element types of tensors, and the two 16-bit floats as exact bit patterns.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>

namespace tutti {

enum class DType : std::uint8_t { f32, f16, bf16, i32 };

constexpr std::size_t size_of(DType dtype) {
  return dtype == DType::f32 || dtype == DType::i32 ? 4 : 2;
}

// "f32", "f16", "bf16", "i32": the names used in options, files and messages.
constexpr std::string_view name_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "f32";
    case DType::f16:
      return "f16";
    case DType::bf16:
      return "bf16";
    case DType::i32:
      return "i32";
  }
  return "?";
}

constexpr std::optional<DType> dtype_from_name(std::string_view name) {
  for (DType dtype : {DType::f32, DType::f16, DType::bf16, DType::i32}) {
    if (name == name_of(dtype)) {
      return dtype;
    }
  }
  return std::nullopt;
}

// bfloat16: the upper half of an f32.
struct bf16 {
  std::uint16_t bits = 0;
};

// IEEE 754 binary16.
struct f16 {
  std::uint16_t bits = 0;
};

constexpr float to_float(float x) {
  return x;
}

constexpr float to_float(bf16 x) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(x.bits) << 16);
}

// Exact for every pattern, branch-free so that loops over it vectorise: the shifted exponent is
// corrected by a multiplication, which also normalises subnormals; inf and NaN are selected.
constexpr float to_float(f16 x) {
  const std::uint32_t sign = static_cast<std::uint32_t>(x.bits & 0x8000u) << 16;
  const std::uint32_t magnitude = static_cast<std::uint32_t>(x.bits & 0x7fffu) << 13;
  const float scaled = std::bit_cast<float>(magnitude) * 0x1p112f;
  const std::uint32_t finite = std::bit_cast<std::uint32_t>(scaled);
  const std::uint32_t special = magnitude | 0x7f800000u;
  const std::uint32_t bits = magnitude >= 0x0f800000u ? special : finite;
  return std::bit_cast<float>(bits | sign);
}

// Rounds to nearest, ties to even; NaN stays NaN.
constexpr bf16 to_bf16(float x) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t rounded = bits + 0x7fffu + ((bits >> 16) & 1u);
  const bool nan = (bits & 0x7fffffffu) > 0x7f800000u;
  return {static_cast<std::uint16_t>((nan ? bits | 0x400000u : rounded) >> 16)};
}

// Rounds to nearest, ties to even; overflow becomes infinity; NaN stays NaN.
constexpr f16 to_f16(float x) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(x);
  const std::uint16_t sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000u);
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) {
    return {static_cast<std::uint16_t>(sign | 0x7e00u)};
  }
  if (magnitude >= 0x477ff000u) {  // 65520 and above round to infinity
    return {static_cast<std::uint16_t>(sign | 0x7c00u)};
  }
  if (magnitude < 0x38800000u) {  // subnormal: let the f32 adder round at 2^-24
    const float rounded = std::bit_cast<float>(magnitude) + 0.5f;
    return {
        static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(rounded) - 0x3f000000u))};
  }
  const std::uint32_t rounded = magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u);
  return {static_cast<std::uint16_t>(sign | (rounded >> 13))};
}

template <typename T>
constexpr T from_float(float x) {
  if constexpr (std::is_same_v<T, bf16>) {
    return to_bf16(x);
  } else if constexpr (std::is_same_v<T, f16>) {
    return to_f16(x);
  } else {
    static_assert(std::is_same_v<T, float>);
    return x;
  }
}

}  // namespace tutti
