#include "runtime/weights/rearrange.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "kernels/error.hpp"

namespace tutti {
namespace {

constexpr std::size_t kVectorBytes = 16;  // every x86-64 and ARM processor has them
constexpr std::size_t kLineBytes = 64;

template <typename T>
constexpr int kLanes = kVectorBytes / sizeof(T);
template <typename T>
constexpr std::int64_t kTile = kLineBytes / sizeof(T);

template <typename T>
struct Vector {
  typedef T Type __attribute__((vector_size(kVectorBytes)));
};

// a0 b0 a1 b1 …
inline void interleave(const Vector<std::uint16_t>::Type& a, const Vector<std::uint16_t>::Type& b,
                       Vector<std::uint16_t>::Type& low, Vector<std::uint16_t>::Type& high) {
  low = __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
  high = __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
}

inline void interleave(const Vector<std::uint32_t>::Type& a, const Vector<std::uint32_t>::Type& b,
                       Vector<std::uint32_t>::Type& low, Vector<std::uint32_t>::Type& high) {
  low = __builtin_shufflevector(a, b, 0, 4, 1, 5);
  high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
}

// As many rows as a vector has lanes, transposed: rounds of perfect shuffles.
template <typename T>
void transpose_square(const std::byte* src, std::size_t src_stride, T* dst, std::int64_t dst_row) {
  constexpr int n = kLanes<T>;
  typename Vector<T>::Type v[n];
  typename Vector<T>::Type next[n];
  for (int i = 0; i < n; ++i) {
    std::memcpy(&v[i], src + static_cast<std::size_t>(i) * src_stride, kVectorBytes);
  }
  for (int round = 1; round < n; round *= 2) {
    for (int i = 0; i < n / 2; ++i) {
      interleave(v[i], v[i + n / 2], next[2 * i], next[2 * i + 1]);
    }
    std::memcpy(v, next, sizeof v);
  }
  for (int i = 0; i < n; ++i) {
    std::memcpy(dst + i * dst_row, &v[i], kVectorBytes);
  }
}

// tile[c, r] = src[r, c], at most kTile rows and columns.
template <typename T>
void transpose_tile(const std::byte* src, std::size_t src_stride, std::int64_t rows,
                    std::int64_t columns, T* tile) {
  if (rows == kTile<T> && columns == kTile<T>) {
    for (std::int64_t r = 0; r < kTile<T>; r += kLanes<T>) {
      for (std::int64_t c = 0; c < kTile<T>; c += kLanes<T>) {
        transpose_square(src + static_cast<std::size_t>(r) * src_stride +
                             static_cast<std::size_t>(c) * sizeof(T),
                         src_stride, tile + c * kTile<T> + r, kTile<T>);
      }
    }
    return;
  }
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < columns; ++c) {
      std::memcpy(
          tile + c * kTile<T> + r,
          src + static_cast<std::size_t>(r) * src_stride + static_cast<std::size_t>(c) * sizeof(T),
          sizeof(T));
    }
  }
}

// A tile goes through a buffer of its own: each line of src is read once and each line of dst
// written once, whatever power of two the strides are.
template <typename T>
void transpose(const TransposeBlock& block) {
  std::array<T, static_cast<std::size_t>(kTile<T> * kTile<T>)> tile;
  const auto at = [](std::int64_t i) { return static_cast<std::size_t>(i) * sizeof(T); };
  for (std::int64_t r = 0; r < block.rows; r += kTile<T>) {
    const std::int64_t height = std::min(kTile<T>, block.rows - r);
    for (std::int64_t c = 0; c < block.columns; c += kTile<T>) {
      const std::int64_t width = std::min(kTile<T>, block.columns - c);
      transpose_tile(block.src + at(r * block.src_columns + block.first_column + c),
                     at(block.src_columns), height, width, tile.data());
      for (std::int64_t i = 0; i < width; ++i) {
        std::memcpy(block.dst + at((c + i) * block.rows + r), tile.data() + i * kTile<T>,
                    at(height));
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
