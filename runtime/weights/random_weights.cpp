#include "runtime/weights/random_weights.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/error.hpp"
#include "kernels/fill_random.hpp"
#include "runtime/tensor/tensor.hpp"
#include "runtime/weights/place_rows.hpp"

namespace tutti {

std::uint64_t random_tensor_key(std::uint64_t seed, const std::string& name) {
  std::uint64_t hash = 0xcbf29ce484222325u ^ (seed * 0x9e3779b97f4a7c15u);  // FNV-1a of the name
  for (const char c : name) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  }
  return hash;
}

RandomWeights::RandomWeights(std::uint64_t seed, DType dtype,
                             std::function<void(std::uint64_t)> on_bytes)
    : seed_(seed), dtype_(dtype), on_bytes_(std::move(on_bytes)) {
  if (dtype == DType::i32) {
    throw ConfigError("random weights can be f32, f16 or bf16, not i32");
  }
}

void RandomWeights::load(Device& device, std::span<const WeightSlice> slices) const {
  for (const WeightSlice& slice : slices) {
    if (slice.layout == WeightSlice::Layout::vector) {
      load_vector(device, slice);
    } else {
      const auto longer =
          static_cast<float>(*std::max_element(slice.shape.begin(), slice.shape.end()));
      fill_random(device.exec(), {.key = random_tensor_key(seed_, slice.name),
                                  .first_row = slice.rows.begin,
                                  .scale = 1.0f / std::sqrt(longer),
                                  .offset = 0,
                                  .transposed = slice.layout == WeightSlice::Layout::transposed,
                                  .y = slice.to});
    }
    if (on_bytes_) {
      device.synchronize();
      on_bytes_(slice.to.elements() * size_of(dtype_));
    }
  }
  device.synchronize();
}

// Rounded as a file of dtype_ would hold it, then widened.
void RandomWeights::load_vector(Device& device, const WeightSlice& slice) const {
  const Tensor stored(Place::host, dtype_, {slice.rows.size()}, slice.name);
  fill_random(Exec{}, {.key = random_tensor_key(seed_, slice.name),
                       .first_row = slice.rows.begin,
                       .scale = 0.1f,
                       .offset = slice.name.ends_with(".bias") ? 0.0f : 1.0f,
                       .y = stored.view()});
  std::vector<float> widened(static_cast<std::size_t>(slice.rows.size()));
  widen_elements(dtype_, {stored.data<std::byte>(), stored.bytes()}, widened.data());
  device.copy_in(slice.to.data, widened.data(), slice.to.bytes());
  device.synchronize();
}

}  // namespace tutti
