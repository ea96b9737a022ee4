#include "runtime/weights/dequantize.hpp"

#include <array>
#include <cstring>

#include "kernels/error.hpp"

namespace tutti {
namespace {

std::uint8_t byte_at(const std::byte* p, int i) {
  return std::to_integer<std::uint8_t>(p[i]);
}
float low_nibble(const std::byte* p, int i) {
  return static_cast<float>(byte_at(p, i) & 15u);
}
float high_nibble(const std::byte* p, int i) {
  return static_cast<float>(byte_at(p, i) >> 4u);
}

float half_at(const std::byte* p) {
  const unsigned bits = byte_at(p, 0) | (static_cast<unsigned>(byte_at(p, 1)) << 8u);
  return to_float(f16{static_cast<std::uint16_t>(bits)});
}

std::uint32_t word_at(const std::byte* p) {
  std::uint32_t word = 0;
  for (int i = 3; i >= 0; --i) {
    word = (word << 8u) | byte_at(p, i);
  }
  return word;
}

void dequantize_q4_0(const std::byte* block, float* values) {
  const float d = half_at(block);
  for (int i = 0; i < 16; ++i) {
    values[i] = d * (low_nibble(block + 2, i) - 8);
    values[i + 16] = d * (high_nibble(block + 2, i) - 8);
  }
}

void dequantize_q4_1(const std::byte* block, float* values) {
  const float d = half_at(block);
  const float m = half_at(block + 2);
  for (int i = 0; i < 16; ++i) {
    values[i] = d * low_nibble(block + 4, i) + m;
    values[i + 16] = d * high_nibble(block + 4, i) + m;
  }
}

void dequantize_q5_0(const std::byte* block, float* values) {
  const float d = half_at(block);
  const std::uint32_t fifth = word_at(block + 2);
  for (int i = 0; i < 16; ++i) {
    const float low = static_cast<float>((fifth >> i & 1u) << 4u) + low_nibble(block + 6, i);
    const float high =
        static_cast<float>((fifth >> (i + 16) & 1u) << 4u) + high_nibble(block + 6, i);
    values[i] = d * (low - 16);
    values[i + 16] = d * (high - 16);
  }
}

void dequantize_q5_1(const std::byte* block, float* values) {
  const float d = half_at(block);
  const float m = half_at(block + 2);
  const std::uint32_t fifth = word_at(block + 4);
  for (int i = 0; i < 16; ++i) {
    const float low = static_cast<float>((fifth >> i & 1u) << 4u) + low_nibble(block + 8, i);
    const float high =
        static_cast<float>((fifth >> (i + 16) & 1u) << 4u) + high_nibble(block + 8, i);
    values[i] = d * low + m;
    values[i + 16] = d * high + m;
  }
}

void dequantize_q8_0(const std::byte* block, float* values) {
  const float d = half_at(block);
  for (int i = 0; i < 32; ++i) {
    values[i] = d * static_cast<float>(static_cast<std::int8_t>(byte_at(block + 2, i)));
  }
}

// Scale and minimum of sub-block j, from the 12 bytes that Q4_K and Q5_K share: the first four have
// all six bits in their own bytes; of the others the upper two bits hide in the first eight bytes.
struct ScaleMin {
  float scale;
  float min;
};

ScaleMin unpack_scale_min(const std::byte* packed, int j) {
  unsigned scale = 0;
  unsigned min = 0;
  if (j < 4) {
    scale = byte_at(packed, j) & 63u;
    min = byte_at(packed, j + 4) & 63u;
  } else {
    scale = (byte_at(packed, j + 4) & 15u) | (byte_at(packed, j - 4) >> 6u << 4u);
    min = (byte_at(packed, j + 4) >> 4u) | (byte_at(packed, j) >> 6u << 4u);
  }
  return {static_cast<float>(scale), static_cast<float>(min)};
}

void dequantize_q4_k(const std::byte* block, float* values) {
  const float d = half_at(block);
  const float m = half_at(block + 2);
  for (int j = 0; j < 8; ++j) {
    const auto [scale, min] = unpack_scale_min(block + 4, j);
    const float step = d * scale;
    const float offset = m * min;
    const std::byte* nibbles = block + 16 + 32 * (j / 2);
    for (int i = 0; i < 32; ++i) {
      const float q = j % 2 == 0 ? low_nibble(nibbles, i) : high_nibble(nibbles, i);
      values[32 * j + i] = step * q - offset;
    }
  }
}

void dequantize_q5_k(const std::byte* block, float* values) {
  const float d = half_at(block);
  const float m = half_at(block + 2);
  for (int j = 0; j < 8; ++j) {
    const auto [scale, min] = unpack_scale_min(block + 4, j);
    const float step = d * scale;
    const float offset = m * min;
    const std::byte* nibbles = block + 48 + 32 * (j / 2);
    for (int i = 0; i < 32; ++i) {
      const float fifth = static_cast<float>((byte_at(block + 16, i) >> j & 1u) << 4u);
      const float q = j % 2 == 0 ? low_nibble(nibbles, i) : high_nibble(nibbles, i);
      values[32 * j + i] = step * (q + fifth) - offset;
    }
  }
}

// Each half of 128 elements has 64 bytes of nibbles, 32 bytes of upper bits and 8 scales. Its four
// quarters of 32: low nibbles of the first 32 bytes, of the second, high nibbles of both; quarter k
// takes bits 2k and 2k+1 of the upper bits.
void dequantize_q6_k(const std::byte* block, float* values) {
  const float d = half_at(block + 208);
  for (int half = 0; half < 2; ++half) {
    const std::byte* low = block + 64 * half;
    const std::byte* high = block + 128 + 32 * half;
    const std::byte* scales = block + 192 + 8 * half;
    for (int k = 0; k < 4; ++k) {
      const std::byte* nibbles = low + 32 * (k % 2);
      for (int i = 0; i < 32; ++i) {
        const auto scale = static_cast<std::int8_t>(byte_at(scales, 2 * k + i / 16));
        const float step = d * static_cast<float>(scale);
        const float q = k < 2 ? low_nibble(nibbles, i) : high_nibble(nibbles, i);
        const float upper = static_cast<float>((byte_at(high, i) >> (2 * k) & 3u) << 4u);
        values[128 * half + 32 * k + i] = step * (q + upper - 32);
      }
    }
  }
}

constexpr BlockFormat plain_format(std::uint32_t type, std::string_view name, DType dtype) {
  return {type, name, 1, static_cast<std::uint32_t>(size_of(dtype)), dtype, nullptr};
}
constexpr BlockFormat block_format(std::uint32_t type, std::string_view name,
                                   std::uint32_t elements, std::uint32_t bytes,
                                   DequantizeBlock dequantize = nullptr) {
  return {type, name, elements, bytes, std::nullopt, dequantize};
}

// Numbers that are missing here were given up by the format and never reused.
constexpr std::array kFormats = {
    plain_format(0, "F32", DType::f32),
    plain_format(1, "F16", DType::f16),
    plain_format(30, "BF16", DType::bf16),
    block_format(2, "Q4_0", 32, 18, dequantize_q4_0),
    block_format(3, "Q4_1", 32, 20, dequantize_q4_1),
    block_format(6, "Q5_0", 32, 22, dequantize_q5_0),
    block_format(7, "Q5_1", 32, 24, dequantize_q5_1),
    block_format(8, "Q8_0", 32, 34, dequantize_q8_0),
    block_format(12, "Q4_K", 256, 144, dequantize_q4_k),
    block_format(13, "Q5_K", 256, 176, dequantize_q5_k),
    block_format(14, "Q6_K", 256, 210, dequantize_q6_k),
    // Known, not read.
    block_format(9, "Q8_1", 32, 40),
    block_format(10, "Q2_K", 256, 84),
    block_format(11, "Q3_K", 256, 110),
    block_format(15, "Q8_K", 256, 292),
    block_format(16, "IQ2_XXS", 256, 66),
    block_format(17, "IQ2_XS", 256, 74),
    block_format(18, "IQ3_XXS", 256, 98),
    block_format(19, "IQ1_S", 256, 50),
    block_format(20, "IQ4_NL", 32, 18),
    block_format(21, "IQ3_S", 256, 110),
    block_format(22, "IQ2_S", 256, 82),
    block_format(23, "IQ4_XS", 256, 136),
    block_format(24, "I8", 1, 1),
    block_format(25, "I16", 1, 2),
    block_format(26, "I32", 1, 4),
    block_format(27, "I64", 1, 8),
    block_format(28, "F64", 1, 8),
    block_format(29, "IQ1_M", 256, 56),
    block_format(34, "TQ1_0", 256, 54),
    block_format(35, "TQ2_0", 256, 66),
    block_format(39, "MXFP4", 32, 17),
    block_format(40, "NVFP4", 64, 36),
    block_format(41, "Q1_0", 128, 18),
};

template <typename From, typename To>
void convert(const std::byte* src, std::byte* dst, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    From from;
    std::memcpy(&from, src + i * sizeof(From), sizeof(From));
    const To to = from_float<To>(to_float(from));
    std::memcpy(dst + i * sizeof(To), &to, sizeof(To));
  }
}

template <typename From>
void convert_from(const std::byte* src, std::byte* dst, DType to, std::size_t n) {
  switch (to) {
    case DType::f32:
      return convert<From, float>(src, dst, n);
    case DType::f16:
      return convert<From, f16>(src, dst, n);
    case DType::bf16:
      return convert<From, bf16>(src, dst, n);
    case DType::i32:
      break;
  }
  throw Error("convert_elements: i32 is no weight type; wanted f32, f16 or bf16");
}

}  // namespace

const BlockFormat* find_block_format(std::uint32_t type) {
  for (const BlockFormat& format : kFormats) {
    if (format.type == type) {
      return &format;
    }
  }
  return nullptr;
}

void convert_elements(const std::byte* src, DType from, std::byte* dst, DType to, std::size_t n) {
  if (n == 0) {
    return;
  }
  if (from == to) {
    std::memcpy(dst, src, n * size_of(to));
    return;
  }
  switch (from) {
    case DType::f32:
      return convert_from<float>(src, dst, to, n);
    case DType::f16:
      return convert_from<f16>(src, dst, to, n);
    case DType::bf16:
      return convert_from<bf16>(src, dst, to, n);
    case DType::i32:
      break;
  }
  throw Error("convert_elements: i32 is no weight type; wanted f32, f16 or bf16");
}

}  // namespace tutti
