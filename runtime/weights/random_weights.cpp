#include "runtime/weights/random_weights.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace tutti {
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
  FillRandomArgs fill{
      .key = random_tensor_key(seed_, name), .scale = deviation, .offset = vector ? 1.0f : 0.0f};
  std::vector<std::byte> bytes;
  for (std::int64_t row = rows.begin; row < rows.end; row += step) {
    const std::int64_t count = std::min(step, rows.end - row);
    bytes.resize(static_cast<std::size_t>(count * row_bytes));
    fill.first_row = row;
    fill.y = TensorView(bytes.data(), dtype_, Place::host, {count, columns});
    fill_random(Exec{}, fill);
    sink(row, bytes);
  }
}

}  // namespace tutti
