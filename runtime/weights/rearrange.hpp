// Moving the elements of a weight: transposition and the order of rotary rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace tutti {

// Columns of a matrix, to become the rows of another. Both are dense.
struct TransposeBlock {
  const std::byte* src = nullptr;  // [rows, src_columns]
  std::int64_t rows = 0;
  std::int64_t src_columns = 0;
  std::int64_t first_column = 0;
  std::int64_t columns = 0;
  std::size_t element_bytes = 0;  // 2 or 4
  std::byte* dst = nullptr;       // [columns, rows]
};

// dst[c, r] = src[r, first_column + c]. Quick where dst fits into the second-level cache.
void transpose_block(const TransposeBlock& block);

// For each head of `head_rows` rows (d, even): dst row j*(d/2)+i = src row 2*i+j, j in {0, 1}, so
// that pairs that lay side by side come to lie half a head apart. src and dst hold the same whole
// heads and do not overlap.
void split_rotary_pairs(std::span<const std::byte> src, std::size_t row_bytes,
                        std::int64_t head_rows, std::byte* dst);

}  // namespace tutti
