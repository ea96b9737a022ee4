#include "runtime/weights/weight_source.hpp"

#include <array>
#include <cstring>
#include <utility>

#include "kernels/error.hpp"

namespace tutti {
namespace {

// dst[c, first + r] = rows[r, c], in tiles that stay in the first-level cache.
template <typename T>
void scatter_columns(const T* rows, std::int64_t count, std::int64_t columns, std::int64_t first,
                     const TensorView& dst) {
  constexpr std::int64_t kTile = 32;
  for (std::int64_t r0 = 0; r0 < count; r0 += kTile) {
    const std::int64_t r1 = std::min(r0 + kTile, count);
    for (std::int64_t c0 = 0; c0 < columns; c0 += kTile) {
      const std::int64_t c1 = std::min(c0 + kTile, columns);
      for (std::int64_t c = c0; c < c1; ++c) {
        T* out = dst.row<T>(c) + first;
        for (std::int64_t r = r0; r < r1; ++r) {
          out[r] = rows[r * columns + c];
        }
      }
    }
  }
}

template <typename T>
void widen(const std::byte* from, std::int64_t count, float* to) {
  for (std::int64_t i = 0; i < count; ++i) {
    T value;
    std::memcpy(&value, from + static_cast<std::size_t>(i) * sizeof(T), sizeof(T));
    to[i] = to_float(value);
  }
}

}  // namespace

ModelFileSource::ModelFileSource(const ModelFile& file, ReadOptions options,
                                 std::function<void(std::uint64_t)> on_bytes)
    : file_(file), options_(options), on_bytes_(std::move(on_bytes)) {}

bool ModelFileSource::has(const std::string& name) const {
  return file_.find(name) != nullptr;
}

DType ModelFileSource::dtype(const std::string& name, std::span<const std::int64_t> shape) const {
  return file_.require(name, shape).dtype;
}

void ModelFileSource::read_rows(const std::string& name, std::span<const std::int64_t> shape,
                                Range rows, const RowSink& sink) const {
  const TensorInfo& tensor = file_.require(name, shape);
  file_.read_rows(tensor, rows, options_,
                  [&](std::int64_t first_row, std::span<const std::byte> bytes) {
                    sink(first_row, bytes);
                    if (on_bytes_) {
                      on_bytes_(bytes.size());
                    }
                  });
}

void load_rows(const WeightSource& source, const std::string& name,
               std::span<const std::int64_t> shape, Range rows, const TensorView& dst) {
  const std::size_t row_bytes = static_cast<std::size_t>(dst.row_elements()) * size_of(dst.dtype);
  source.read_rows(name, shape, rows, [&](std::int64_t first, std::span<const std::byte> bytes) {
    std::memcpy(static_cast<std::byte*>(dst.data) +
                    static_cast<std::size_t>(first - rows.begin) * row_bytes,
                bytes.data(), bytes.size());
  });
}

void load_transposed(const WeightSource& source, const std::string& name,
                     std::span<const std::int64_t> shape, Range rows, const TensorView& dst) {
  const std::int64_t columns = shape[1];
  source.read_rows(name, shape, rows, [&](std::int64_t first, std::span<const std::byte> bytes) {
    const std::int64_t count =
        static_cast<std::int64_t>(bytes.size() / size_of(dst.dtype)) / columns;
    if (size_of(dst.dtype) == 4) {
      scatter_columns(reinterpret_cast<const std::uint32_t*>(bytes.data()), count, columns,
                      first - rows.begin, dst);
    } else {
      scatter_columns(reinterpret_cast<const std::uint16_t*>(bytes.data()), count, columns,
                      first - rows.begin, dst);
    }
  });
}

void load_vector(const WeightSource& source, const std::string& name, const TensorView& dst) {
  const std::array<std::int64_t, 1> shape{dst.elements()};
  const DType stored = source.dtype(name, shape);
  source.read_rows(name, shape, {0, dst.elements()},
                   [&](std::int64_t first, std::span<const std::byte> bytes) {
                     float* to = static_cast<float*>(dst.data) + first;
                     const auto count = static_cast<std::int64_t>(bytes.size() / size_of(stored));
                     switch (stored) {
                       case DType::f32:
                         return widen<float>(bytes.data(), count, to);
                       case DType::f16:
                         return widen<f16>(bytes.data(), count, to);
                       case DType::bf16:
                         return widen<bf16>(bytes.data(), count, to);
                       case DType::i32:
                         throw ModelFileError(name + " is i32, this plan wants f32, f16 or bf16");
                     }
                   });
}

}  // namespace tutti
