// Weights that exist only as a shape and a seed: every element is a hash of its place.
#pragma once

#include <cstdint>

#include "kernels/exec.hpp"

namespace tutti {

// Element `index` of the stream `key`, about normal with standard deviation 1: the centred sum of
// the four 16-bit words of a SplitMix64 output (Steele et al. 2014). Exact integers until one
// multiplication in f32, so that every machine and device agrees on the bits.
#if defined(__CUDACC__)
__host__ __device__
#endif
    inline float
    random_element(std::uint64_t key, std::uint64_t index) {
  std::uint64_t z = key + (index + 1) * 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  z ^= z >> 31;
  const auto sum = static_cast<std::int32_t>((z & 0xffff) + ((z >> 16) & 0xffff) +
                                             ((z >> 32) & 0xffff) + (z >> 48));
  return static_cast<float>(sum - 131070) * (1.0f / 37837.2f);
}

struct FillRandomArgs {
  std::uint64_t key = 0;       // of the tensor
  std::int64_t first_row = 0;  // row of the stored matrix that row 0 of y is
  float scale = 1;
  float offset = 0;
  bool transposed = false;  // y[i,j] is the stored element (first_row + j, i) of a matrix with
                            // y.rows() columns, not (first_row + i, j) of one with y's columns
  TensorView y;             // [rows, columns] or [n], f32, f16 or bf16
};

// y = fma(scale, random_element(key, row * columns + column of the stored matrix), offset) in f32,
// rounded to y's type: the same bits on every place.
void fill_random(const Exec& exec, const FillRandomArgs& args);

}  // namespace tutti
