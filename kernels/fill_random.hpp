// Weights that exist only as a shape and a seed: every element is a hash of its place.
#pragma once

#include <cstdint>

#include "kernels/exec.hpp"
#include "kernels/host_device.hpp"

namespace tutti {

// Between the counters of neighbouring elements (the golden ratio).
inline constexpr std::uint64_t kCounterStep = 0x9e3779b97f4a7c15u;

// The element of a counter, about normal with standard deviation 1: the centred sum of the four
// 16-bit words of a SplitMix64 output (Steele et al. 2014). Exact integers until one multiplication
// in f32, so that every machine and device agrees on the bits.
TUTTI_HOST_DEVICE inline float random_of_counter(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  z ^= z >> 31;
  const auto low = static_cast<std::uint32_t>(z);
  const auto high = static_cast<std::uint32_t>(z >> 32);
  const auto sum =
      static_cast<std::int32_t>((low & 0xffff) + (low >> 16) + (high & 0xffff) + (high >> 16));
  return static_cast<float>(sum - 131070) * (1.0f / 37837.2f);
}

// Element `index` of the stream `key`.
TUTTI_HOST_DEVICE inline float random_element(std::uint64_t key, std::uint64_t index) {
  return random_of_counter(key + (index + 1) * kCounterStep);
}

struct FillRandomArgs {
  std::uint64_t key = 0;       // of the tensor
  std::int64_t first_row = 0;  // row of the stored matrix that row 0 of y is
  float scale = 1;
  float offset = 0;
  bool transposed = false;  // y[i,j] is the stored element (first_row + j, i) of a matrix with
                            // y.rows() columns, not (first_row + i, j) of one with y's columns
  TensorView y;             // [rows, columns] or [n], f32, f16 or bf16; rows may be strided
};

// y = fma(scale, random_element(key, row * columns + column of the stored matrix), offset) in f32,
// rounded to y's type: the same bits on every place.
void fill_random(const Exec& exec, const FillRandomArgs& args);

// The counter of y[i,j] is first + i * row + j * column, modulo 2^64.
struct RandomCounters {
  std::uint64_t first;
  std::uint64_t row;
  std::uint64_t column;
};

inline RandomCounters counters_of(const FillRandomArgs& args) {
  const auto rows = static_cast<std::uint64_t>(args.y.rows());
  const auto columns = static_cast<std::uint64_t>(args.y.row_elements());
  const std::uint64_t width = args.transposed ? rows : columns;  // of the stored matrix
  return {
      .first = args.key + (static_cast<std::uint64_t>(args.first_row) * width + 1) * kCounterStep,
      .row = (args.transposed ? 1 : width) * kCounterStep,
      .column = (args.transposed ? width : 1) * kCounterStep};
}

}  // namespace tutti
