// Weights that exist only as a shape and a seed: every element is a hash of (seed, tensor, row,
// column), so that any rank count sees the same model without a byte on disk.
#pragma once

#include <cstdint>
#include <string>

#include "runtime/weights/weight_source.hpp"

namespace tutti {

// Where the elements of one tensor start in the counter space: a hash of seed and name.
std::uint64_t random_tensor_key(std::uint64_t seed, const std::string& name);

// Element `index` (row * columns + column of the tensor as it is stored), about normal with
// standard deviation 1: the centred sum of the four 16-bit words of a SplitMix64 output (Steele et
// al. 2014). Exact integers until one multiplication in f32, so that every machine agrees on the
// bits.
inline float random_element(std::uint64_t key, std::uint64_t index) {
  std::uint64_t z = key + (index + 1) * 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  z ^= z >> 31;
  const auto sum = static_cast<std::int32_t>((z & 0xffff) + ((z >> 16) & 0xffff) +
                                             ((z >> 32) & 0xffff) + (z >> 48));
  return static_cast<float>(sum - 131070) * (1.0f / 37837.2f);
}

// Matrices have standard deviation 1 / sqrt(longer side), vectors 1 + a tenth of that of a unit
// normal; all have the dtype given.
class RandomWeights final : public WeightSource {
 public:
  RandomWeights(std::uint64_t seed, DType dtype) : seed_(seed), dtype_(dtype) {}

  bool has(const std::string&) const override { return true; }
  DType dtype(const std::string&, std::span<const std::int64_t>) const override { return dtype_; }
  void read_rows(const std::string& name, std::span<const std::int64_t> shape, Range rows,
                 const RowSink& sink) const override;

 private:
  std::uint64_t seed_;
  DType dtype_;
};

}  // namespace tutti
