#include "runtime/weights/model_summary.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

namespace tutti {

ModelSummary summarize(std::span<const TensorInfo> tensors) {
  ModelSummary summary;
  std::map<DType, std::uint64_t> bytes_by_dtype;
  for (const TensorInfo& tensor : tensors) {
    summary.parameters += static_cast<std::uint64_t>(tensor.elements());
    summary.weight_bytes += tensor.bytes();
    bytes_by_dtype[tensor.dtype] += tensor.bytes();
  }
  std::vector<std::pair<DType, std::uint64_t>> order(bytes_by_dtype.begin(), bytes_by_dtype.end());
  std::stable_sort(order.begin(), order.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  for (const auto& [dtype, bytes] : order) {
    summary.dtype += summary.dtype.empty() ? "" : "+";
    summary.dtype += name_of(dtype);
  }
  return summary;
}

std::string describe_shape(DType dtype, std::span<const std::int64_t> shape) {
  return fmt::format("{} [{}]", name_of(dtype), fmt::join(shape, ", "));
}

}  // namespace tutti
