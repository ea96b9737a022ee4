// Arithmetic on sizes that come from a file: an overflow is an answer, not a wrap-around.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace tutti {

inline std::optional<std::uint64_t> checked_multiply(std::uint64_t a, std::uint64_t b) {
  std::uint64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) {
    return std::nullopt;
  }
  return product;
}

inline std::optional<std::uint64_t> checked_add(std::uint64_t a, std::uint64_t b) {
  std::uint64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) {
    return std::nullopt;
  }
  return sum;
}

// The product of the extents, or nothing where it leaves the range of int64. An extent of zero does
// not hide an absurd one.
inline std::optional<std::uint64_t> checked_elements(std::span<const std::uint64_t> shape) {
  std::uint64_t product = 1;
  bool empty = false;
  for (std::uint64_t extent : shape) {
    empty = empty || extent == 0;
    const auto next = checked_multiply(product, extent == 0 ? 1 : extent);
    if (!next || *next > static_cast<std::uint64_t>(INT64_MAX)) {
      return std::nullopt;
    }
    product = *next;
  }
  return empty ? 0 : product;
}

}  // namespace tutti
