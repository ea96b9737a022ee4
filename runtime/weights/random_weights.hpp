// Weights that exist only as a shape and a seed: every element is a hash of (seed, tensor, row,
// column), so that any rank count sees the same model without a byte on disk, and every device the
// same bits (docs/decisions/0004-hashed-weights.md).
#pragma once

#include <cstdint>
#include <string>

#include "kernels/fill_random.hpp"
#include "runtime/weights/weight_source.hpp"

namespace tutti {

// Where the elements of one tensor start in the counter space: a hash of seed and name.
std::uint64_t random_tensor_key(std::uint64_t seed, const std::string& name);

// Matrices have standard deviation 1 / sqrt(longer side), vectors 1 (biases 0) + a tenth of a
// unit normal; all have the dtype given. Elements are made where they are wanted
// (kernels/fill_random); `on_bytes` hears how many more there are, on the thread that loads.
class RandomWeights final : public WeightSource {
 public:
  // Errors: ConfigError for i32.
  RandomWeights(std::uint64_t seed, DType dtype, std::function<void(std::uint64_t)> on_bytes = {});

  bool has(const std::string&) const override { return true; }
  DType dtype(const std::string&, std::span<const std::int64_t>) const override { return dtype_; }
  void load(Device& device, std::span<const WeightSlice> slices) const override;

 private:
  void load_vector(Device& device, const WeightSlice& slice) const;

  std::uint64_t seed_;
  DType dtype_;
  std::function<void(std::uint64_t)> on_bytes_;
};

}  // namespace tutti
