// What the tensors of a model come to, for banners and tables.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "runtime/weights/tensor_info.hpp"

namespace tutti {

struct ModelSummary {
  std::uint64_t parameters = 0;
  std::uint64_t weight_bytes = 0;
  std::string dtype;  // "bf16", or "bf16+f32" where tensors differ, commonest bytes first
};

ModelSummary summarize(std::span<const TensorInfo> tensors);

// "bf16 [4096, 11008]"
std::string describe_shape(DType dtype, std::span<const std::int64_t> shape);

}  // namespace tutti
