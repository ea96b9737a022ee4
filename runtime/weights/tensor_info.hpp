// One tensor of a model file, as its readers and writers know it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/dtype.hpp"

namespace tutti {

struct TensorInfo {
  std::string name;  // canonical: "layers.12.attention.q"
  DType dtype = DType::f32;
  std::vector<std::int64_t> shape;  // 1-D or 2-D, row-major
  std::string sha256;               // hex, of the stored bytes
  std::string source_name;          // what the import source called it
  std::int64_t block_rows = 1;      // rows per checked block

  std::int64_t rows() const { return shape.at(0); }
  std::int64_t row_elements() const { return shape.size() == 2 ? shape[1] : 1; }
  std::int64_t elements() const { return rows() * row_elements(); }
  std::size_t row_bytes() const {
    return static_cast<std::size_t>(row_elements()) * size_of(dtype);
  }
  std::size_t bytes() const { return static_cast<std::size_t>(elements()) * size_of(dtype); }
  std::int64_t blocks() const { return (rows() + block_rows - 1) / block_rows; }
};

}  // namespace tutti
