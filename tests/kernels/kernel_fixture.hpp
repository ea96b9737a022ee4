// Buffers of reproducible random numbers and views on them, for the tests of single operations.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "kernels/exec.hpp"
#include "kernels/weight.hpp"

namespace tutti::testing {

inline Exec host_exec(int threads) {
  Exec exec;
  exec.threads = threads;
  return exec;
}

// Uniform in [-1, 1): std::mt19937 is the same everywhere, its distributions are not.
inline std::vector<float> random_floats(std::int64_t n, unsigned seed) {
  std::mt19937 generator(seed);
  std::vector<float> values(static_cast<std::size_t>(n));
  for (float& value : values) {
    value = static_cast<float>(generator() >> 8) * 0x1p-23f - 1.0f;
  }
  return values;
}

inline TensorView view_of(std::vector<float>& values, std::initializer_list<std::int64_t> shape) {
  return {values.data(), DType::f32, Place::host, shape};
}

inline TensorView view_of(std::vector<std::int32_t>& values,
                          std::initializer_list<std::int64_t> shape) {
  return {values.data(), DType::i32, Place::host, shape};
}

// A matrix of random numbers in any weight dtype, and what it holds exactly.
struct RandomMatrix {
  RandomMatrix(DType dtype, std::int64_t out, std::int64_t in, unsigned seed)
      : values(random_floats(out * in, seed)), bytes(values.size() * size_of(dtype)) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (dtype == DType::bf16) {
        store(i, to_bf16(values[i]));
      } else if (dtype == DType::f16) {
        store(i, to_f16(values[i]));
      } else {
        std::memcpy(&bytes[i * 4], &values[i], 4);
      }
    }
    weight.matrix = {bytes.data(), dtype, Place::host, {out, in}};
  }
  RandomMatrix(const RandomMatrix&) = delete;
  RandomMatrix& operator=(const RandomMatrix&) = delete;

  float at(std::int64_t row, std::int64_t column) const {
    return values[static_cast<std::size_t>(row * weight.in() + column)];
  }

  std::vector<float> values;
  std::vector<std::byte> bytes;
  Weight weight;

 private:
  template <typename T>
  void store(std::size_t i, T narrow) {
    std::memcpy(&bytes[i * sizeof(T)], &narrow, sizeof(T));
    values[i] = to_float(narrow);
  }
};

}  // namespace tutti::testing
