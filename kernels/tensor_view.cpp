#include "kernels/tensor_view.hpp"

#include <fmt/format.h>

namespace tutti {

std::string describe(const TensorView& view) {
  std::string shape;
  for (int i = 0; i < view.dims; ++i) {
    shape += fmt::format("{}{}", i == 0 ? "" : ", ", view.shape[static_cast<std::size_t>(i)]);
  }
  return fmt::format("{} [{}]", name_of(view.dtype), shape);
}

}  // namespace tutti
