// Where a rank's slices come from: a model file, or weights that exist only as a shape and a seed.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "kernels/tensor_view.hpp"
#include "runtime/device/device.hpp"
#include "runtime/weights/model_file.hpp"

namespace tutti {

// Rows of a stored tensor and where they go.
struct WeightSlice {
  enum class Layout : std::uint8_t {
    rows,        // to [rows.size(), columns] of the stored type, dense
    transposed,  // to [columns, rows.size()] of the stored type: row-parallel weights lie
                 // transposed in the file, so that a rank's slice is one run of bytes
    vector,      // to [rows.size()] f32, widened
  };
  std::string name;
  std::vector<std::int64_t> shape;  // as stored: [all rows, columns] or [n]
  Range rows;
  Layout layout = Layout::rows;
  TensorView to;
};

// Tensors by canonical name. Errors: ModelFileError.
class WeightSource {
 public:
  virtual ~WeightSource() = default;
  virtual bool has(const std::string& name) const = 0;
  // The stored type of a tensor, which must have exactly this shape.
  virtual DType dtype(const std::string& name, std::span<const std::int64_t> shape) const = 0;
  // Fills what the slices name, which lies on the device; done on return. One call for many slices
  // is faster than many calls: nothing waits at the border of two tensors.
  virtual void load(Device& device, std::span<const WeightSlice> slices) const = 0;
};

// A model file as a source. `on_bytes` hears how many more bytes arrived, from any reader thread.
class ModelFileSource final : public WeightSource {
 public:
  ModelFileSource(const ModelFile& file, ReadOptions options,
                  std::function<void(std::uint64_t)> on_bytes = {});
  bool has(const std::string& name) const override;
  DType dtype(const std::string& name, std::span<const std::int64_t> shape) const override;
  void load(Device& device, std::span<const WeightSlice> slices) const override;

 private:
  const ModelFile& file_;
  ReadOptions options_;
  std::function<void(std::uint64_t)> on_bytes_;
};

}  // namespace tutti
