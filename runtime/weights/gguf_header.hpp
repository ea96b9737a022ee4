// What stands before the tensors in a GGUF file: metadata by key, and where each tensor lies.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "runtime/weights/dequantize.hpp"
#include "runtime/weights/input.hpp"

namespace tutti {

struct GgufTensor {
  std::string name;
  const BlockFormat* format = nullptr;
  std::vector<std::int64_t> shape;  // row-major: the file's order reversed
  std::uint64_t offset = 0;         // within the file
  std::uint64_t bytes = 0;
};

struct GgufHeader {
  std::uint32_t version = 0;
  nlohmann::json metadata;          // key -> value, arrays as arrays
  std::vector<GgufTensor> tensors;  // in the file's order
};

// Versions 2 and 3, little-endian. Every count and length is held against the size of the file, and
// tensors neither overlap nor leave it. Text that is not UTF-8 is refused in `tokenizer.*` and has
// its broken bytes replaced by U+FFFD elsewhere. Errors: ModelFileError with file, key or tensor,
// wanted and found.
GgufHeader parse_gguf_header(const Input& input);

}  // namespace tutti
