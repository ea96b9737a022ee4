// Weights that exist only as a shape and a seed: every element is a hash of (seed, tensor, row,
// column), so that any rank count sees the same model without a byte on disk.
#pragma once

#include <cstdint>
#include <string>

#include "kernels/fill_random.hpp"
#include "runtime/weights/weight_source.hpp"

namespace tutti {

// Where the elements of one tensor start in the counter space: a hash of seed and name.
std::uint64_t random_tensor_key(std::uint64_t seed, const std::string& name);

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
