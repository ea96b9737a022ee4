// Where a rank's slices come from: a model file, or weights that exist only as a shape and a seed.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "kernels/tensor_view.hpp"
#include "runtime/weights/model_file.hpp"

namespace tutti {

// Tensors by canonical name, read by rows as they are stored. Errors: ModelFileError.
class WeightSource {
 public:
  virtual ~WeightSource() = default;
  virtual bool has(const std::string& name) const = 0;
  // The stored type of a tensor, which must have exactly this shape.
  virtual DType dtype(const std::string& name, std::span<const std::int64_t> shape) const = 0;
  // Hands rows [rows.begin, rows.end) to the sink, perhaps from several threads at once.
  virtual void read_rows(const std::string& name, std::span<const std::int64_t> shape, Range rows,
                         const RowSink& sink) const = 0;
};

// A model file as a source. `on_bytes` hears how many more bytes arrived, from any reader thread.
class ModelFileSource final : public WeightSource {
 public:
  ModelFileSource(const ModelFile& file, ReadOptions options,
                  std::function<void(std::uint64_t)> on_bytes = {});
  bool has(const std::string& name) const override;
  DType dtype(const std::string& name, std::span<const std::int64_t> shape) const override;
  void read_rows(const std::string& name, std::span<const std::int64_t> shape, Range rows,
                 const RowSink& sink) const override;

 private:
  const ModelFile& file_;
  ReadOptions options_;
  std::function<void(std::uint64_t)> on_bytes_;
};

// Rows of a stored matrix [out, in] into dst [rows.size(), in] of the same type.
void load_rows(const WeightSource& source, const std::string& name,
               std::span<const std::int64_t> shape, Range rows, const TensorView& dst);

// Rows of a matrix stored as [in, out] into dst [out, rows.size()] of the same type: row-parallel
// weights lie transposed in the file, so that a rank's slice is one run of bytes.
void load_transposed(const WeightSource& source, const std::string& name,
                     std::span<const std::int64_t> shape, Range rows, const TensorView& dst);

// A whole vector of any stored type, widened into dst [n] f32.
void load_vector(const WeightSource& source, const std::string& name, const TensorView& dst);

}  // namespace tutti
