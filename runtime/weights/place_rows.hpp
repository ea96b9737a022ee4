// The last step of loading on the host: rows as they are stored, to where a slice wants them.
#pragma once

#include "runtime/weights/weight_source.hpp"

namespace tutti {

// Rows from `first_row` on (of the stored tensor) of type `stored`. Thread-safe on disjoint rows.
// Errors: ModelFileError for a vector of integers.
void place_rows(const WeightSlice& slice, DType stored, std::int64_t first_row,
                std::span<const std::byte> rows);

// to[i] = from[i]; `from` holds `stored` f32, f16 or bf16.
void widen_elements(DType stored, std::span<const std::byte> from, float* to);

}  // namespace tutti
