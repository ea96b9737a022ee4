#include "runtime/weights/place_rows.hpp"

#include <algorithm>
#include <cstring>

#include "kernels/error.hpp"

namespace tutti {
namespace {

// dst[c, first + r] = rows[r, c], in tiles that stay in the first-level cache.
template <typename T>
void scatter_columns(const T* rows, std::int64_t count, std::int64_t columns, std::int64_t first,
                     const TensorView& dst) {
  constexpr std::int64_t kTile = 32;
  for (std::int64_t r0 = 0; r0 < count; r0 += kTile) {
    const std::int64_t r1 = std::min(r0 + kTile, count);
    for (std::int64_t c0 = 0; c0 < columns; c0 += kTile) {
      const std::int64_t c1 = std::min(c0 + kTile, columns);
      for (std::int64_t c = c0; c < c1; ++c) {
        T* out = dst.row<T>(c) + first;
        for (std::int64_t r = r0; r < r1; ++r) {
          out[r] = rows[r * columns + c];
        }
      }
    }
  }
}

void place_transposed(const WeightSlice& slice, std::int64_t first,
                      std::span<const std::byte> rows) {
  const std::int64_t columns = slice.shape.at(1);
  const std::size_t size = size_of(slice.to.dtype);
  const std::int64_t count = static_cast<std::int64_t>(rows.size() / size) / columns;
  if (size == 4) {
    scatter_columns(reinterpret_cast<const std::uint32_t*>(rows.data()), count, columns, first,
                    slice.to);
  } else {
    scatter_columns(reinterpret_cast<const std::uint16_t*>(rows.data()), count, columns, first,
                    slice.to);
  }
}

template <typename T>
void widen(std::span<const std::byte> from, float* to) {
  for (std::size_t i = 0; i < from.size() / sizeof(T); ++i) {
    T value;
    std::memcpy(&value, from.data() + i * sizeof(T), sizeof(T));
    to[i] = to_float(value);
  }
}

}  // namespace

void widen_elements(DType stored, std::span<const std::byte> from, float* to) {
  switch (stored) {
    case DType::f32:
      return widen<float>(from, to);
    case DType::f16:
      return widen<f16>(from, to);
    case DType::bf16:
      return widen<bf16>(from, to);
    case DType::i32:
      throw ModelFileError("a vector of i32 cannot be widened, wanted f32, f16 or bf16");
  }
}

void place_rows(const WeightSlice& slice, DType stored, std::int64_t first_row,
                std::span<const std::byte> rows) {
  const std::int64_t first = first_row - slice.rows.begin;
  switch (slice.layout) {
    case WeightSlice::Layout::rows:
      std::memcpy(
          slice.to.row<std::byte>(0) +
              static_cast<std::size_t>(first * slice.to.row_stride) * size_of(slice.to.dtype),
          rows.data(), rows.size());
      return;
    case WeightSlice::Layout::transposed:
      return place_transposed(slice, first, rows);
    case WeightSlice::Layout::vector:
      if (stored == DType::i32) {
        throw ModelFileError(slice.name + " is i32, this plan wants f32, f16 or bf16");
      }
      return widen_elements(stored, rows, static_cast<float*>(slice.to.data) + first);
  }
}

}  // namespace tutti
