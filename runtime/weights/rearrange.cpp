#include "runtime/weights/rearrange.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "kernels/error.hpp"

namespace tutti {
namespace {

// A tile goes through a buffer of its own: each line of src is read once and each line of dst
// written once, whatever power of two the strides are.
template <typename T>
void transpose(const TransposeBlock& block) {
  constexpr std::int64_t kTile = 64 / sizeof(T);
  std::array<T, static_cast<std::size_t>(kTile * kTile)> tile;
  const auto at = [](std::int64_t i) { return static_cast<std::size_t>(i) * sizeof(T); };
  for (std::int64_t c = 0; c < block.columns; c += kTile) {
    const std::int64_t width = std::min(kTile, block.columns - c);
    for (std::int64_t r = 0; r < block.rows; r += kTile) {
      const std::int64_t height = std::min(kTile, block.rows - r);
      for (std::int64_t i = 0; i < height; ++i) {
        std::array<T, static_cast<std::size_t>(kTile)> line;
        std::memcpy(line.data(), block.src + at((r + i) * block.columns + c), at(width));
        for (std::int64_t j = 0; j < width; ++j) {
          tile[static_cast<std::size_t>(j * kTile + i)] = line[static_cast<std::size_t>(j)];
        }
      }
      for (std::int64_t j = 0; j < width; ++j) {
        std::memcpy(block.dst + at((c + j) * block.dst_columns + block.first_column + r),
                    tile.data() + j * kTile, at(height));
      }
    }
  }
}

}  // namespace

void transpose_block(const TransposeBlock& block) {
  if (block.element_bytes == 2) {
    transpose<std::uint16_t>(block);
  } else if (block.element_bytes == 4) {
    transpose<std::uint32_t>(block);
  } else {
    throw Error("transpose_block: wanted elements of 2 or 4 bytes");
  }
}

void split_rotary_pairs(std::span<const std::byte> src, std::size_t row_bytes,
                        std::int64_t head_rows, std::byte* dst) {
  const auto rows = static_cast<std::int64_t>(src.size() / row_bytes);
  const std::int64_t half = head_rows / 2;
  for (std::int64_t head = 0; head < rows; head += head_rows) {
    for (std::int64_t row = 0; row < head_rows; ++row) {
      const std::int64_t from = head + 2 * (row % half) + row / half;
      std::memcpy(dst + static_cast<std::size_t>(head + row) * row_bytes,
                  src.data() + static_cast<std::size_t>(from) * row_bytes, row_bytes);
    }
  }
}

}  // namespace tutti
