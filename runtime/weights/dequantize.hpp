// The tensor encodings of GGUF files: plain types, and blocks of quantized values with their
// scales.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "kernels/dtype.hpp"

namespace tutti {

// One block: block_bytes bytes at `block` -> block_elements values at `values`.
using DequantizeBlock = void (*)(const std::byte* block, float* values);

struct BlockFormat {
  std::uint32_t type = 0;  // as numbered in GGUF files
  std::string_view name;   // "Q4_K"
  std::uint32_t block_elements = 1;
  std::uint32_t block_bytes = 0;
  std::optional<DType> plain;            // F32, F16, BF16: one element a block
  DequantizeBlock dequantize = nullptr;  // null for plain types and those that are not supported

  bool readable() const { return plain.has_value() || dequantize != nullptr; }
};

// The format, or null where the number is not known at all. Types that are known but cannot be
// read (IQ2_XXS, I8, F64, …) are there with their sizes, so that a file that also holds them can be
// checked and its other tensors imported.
const BlockFormat* find_block_format(std::uint32_t type);

// "F32, F16, BF16, Q4_0, …": what readable() holds for, for messages.
inline constexpr std::string_view kReadableBlockFormats =
    "F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K";

// The layouts of blocks, all little-endian, d and m being f16; q values are unsigned unless said:
//   Q4_0 (32)  d, 16 bytes: the low nibbles are elements 0..15, the high ones 16..31; d * (q - 8)
//   Q4_1 (32)  d, m, 16 bytes as before; d * q + m
//   Q5_0 (32)  d, 32 fifth bits (bit i of element i), 16 bytes as before; d * (q - 16)
//   Q5_1 (32)  d, m, fifth bits, 16 bytes; d * q + m
//   Q8_0 (32)  d, 32 signed bytes; d * q
//   Q4_K (256) d, m, 12 bytes with 6-bit scales s and minima t of 8 sub-blocks of 32, 128 bytes of
//              nibbles: each 32 bytes hold sub-block 2i (low) and 2i+1 (high); (d*s) * q - (m*t)
//   Q5_K (256) d, m, 12 bytes as before, 32 bytes whose bit j is the fifth bit in sub-block j,
//              128 bytes as before; (d*s) * q - (m*t)
//   Q6_K (256) 128 bytes with the low 4 bits, 64 with the high 2, 16 signed scales s of 16 elements
//              each, d; (d*s) * (q - 32)
// Products and sums are rounded one by one in f32, never fused, as the format's reference has it.

// n elements of type `from` at src -> type `to` at dst, rounded to nearest even; any alignment.
// src and dst do not overlap. Errors: Error where a type is i32.
void convert_elements(const std::byte* src, DType from, std::byte* dst, DType to, std::size_t n);

}  // namespace tutti
