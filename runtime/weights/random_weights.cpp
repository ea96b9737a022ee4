#include "runtime/weights/random_weights.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/error.hpp"

namespace tutti {
namespace {

template <typename T>
void fill(std::uint64_t key, std::uint64_t first, float mean, float deviation,
          std::vector<std::byte>& bytes) {
  auto* out = reinterpret_cast<T*>(bytes.data());
  for (std::size_t i = 0; i < bytes.size() / sizeof(T); ++i) {
    out[i] = from_float<T>(mean + random_element(key, first + i) * deviation);
  }
}

void fill(DType dtype, std::uint64_t key, std::uint64_t first, float mean, float deviation,
          std::vector<std::byte>& bytes) {
  switch (dtype) {
    case DType::f32:
      return fill<float>(key, first, mean, deviation, bytes);
    case DType::f16:
      return fill<f16>(key, first, mean, deviation, bytes);
    case DType::bf16:
      return fill<bf16>(key, first, mean, deviation, bytes);
    case DType::i32:
      throw ConfigError("random weights can be f32, f16 or bf16, not i32");
  }
}

}  // namespace

std::uint64_t random_tensor_key(std::uint64_t seed, const std::string& name) {
  std::uint64_t hash = 0xcbf29ce484222325u ^ (seed * 0x9e3779b97f4a7c15u);  // FNV-1a of the name
  for (const char c : name) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  }
  return hash;
}

void RandomWeights::read_rows(const std::string& name, std::span<const std::int64_t> shape,
                              Range rows, const RowSink& sink) const {
  constexpr std::int64_t kBlockBytes = 1 << 20;
  const bool vector = shape.size() == 1;
  const std::int64_t columns = vector ? 1 : shape[1];
  const float deviation =
      vector ? 0.1f : 1.0f / std::sqrt(static_cast<float>(std::max(shape[0], shape[1])));
  const std::int64_t row_bytes = columns * static_cast<std::int64_t>(size_of(dtype_));
  const std::int64_t step = std::max<std::int64_t>(1, kBlockBytes / row_bytes);
  const std::uint64_t key = random_tensor_key(seed_, name);
  std::vector<std::byte> bytes;
  for (std::int64_t row = rows.begin; row < rows.end; row += step) {
    const std::int64_t count = std::min(step, rows.end - row);
    bytes.resize(static_cast<std::size_t>(count * row_bytes));
    fill(dtype_, key, static_cast<std::uint64_t>(row * columns), vector ? 1.0f : 0.0f, deviation,
         bytes);
    sink(row, bytes);
  }
}

}  // namespace tutti
