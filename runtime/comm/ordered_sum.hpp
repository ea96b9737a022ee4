// The one sum that every host communicator computes, so that all of them give the same bits.
#pragma once

#include <cstddef>
#include <span>

namespace tutti {

// out[i] = ((parts[0][i] + parts[1][i]) + parts[2][i]) + …, rounded to f32 after each addition.
// parts is not empty; out may be one of the parts, but overlaps none otherwise.
void ordered_sum(std::span<const float* const> parts, std::size_t count, float* out);

}  // namespace tutti
