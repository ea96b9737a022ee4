// The header of a safetensors file: 8 bytes with its length, JSON, then the tensors' bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernels/dtype.hpp"
#include "runtime/weights/input.hpp"

namespace tutti {

struct SafetensorsEntry {
  std::string name;
  std::string dtype_name;           // "BF16"
  std::optional<DType> dtype;       // nothing where we do not read it
  std::vector<std::int64_t> shape;  // row-major
  std::uint64_t offset = 0;         // within the file
  std::uint64_t bytes = 0;
};

// All tensors, sorted by offset; "__metadata__" is skipped. As the format demands, their bytes fill
// the rest of the file without gap or overlap. Errors: ModelFileError with file, tensor, wanted and
// found.
std::vector<SafetensorsEntry> parse_safetensors_header(const Input& input);

}  // namespace tutti
