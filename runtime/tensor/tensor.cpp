#include "runtime/tensor/tensor.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

#include "kernels/error.hpp"

namespace tutti {
namespace {

constexpr std::size_t kLargest = std::size_t{1} << 47;  // what an address space holds

std::string describe(std::string_view name, DType dtype, std::span<const std::int64_t> shape) {
  return fmt::format("{} ({} [{}])", name, name_of(dtype), fmt::join(shape, ", "));
}

std::size_t checked_bytes(DType dtype, std::span<const std::int64_t> shape, std::string_view name) {
  if (shape.size() > static_cast<std::size_t>(TensorView::kMaxDims)) {
    throw ConfigError(fmt::format("{} has {} dimensions, a tensor has at most {}",
                                  describe(name, dtype, shape), shape.size(),
                                  TensorView::kMaxDims));
  }
  std::size_t bytes = shape.empty() ? 0 : size_of(dtype);
  bool overflow = false;
  for (std::int64_t extent : shape) {
    if (extent < 0) {
      throw ConfigError(fmt::format("{} has a negative extent", describe(name, dtype, shape)));
    }
    overflow |= __builtin_mul_overflow(bytes, static_cast<std::size_t>(extent), &bytes);
  }
  if (overflow || bytes > kLargest) {
    throw CapacityError(fmt::format("{} is larger than any memory", describe(name, dtype, shape)));
  }
  return bytes;
}

}  // namespace

Tensor::Tensor(DeviceMemory memory, Place place, DType dtype, std::span<const std::int64_t> shape)
    : memory_(std::move(memory)) {
  view_.data = memory_.data();
  view_.dtype = dtype;
  view_.place = place;
  view_.dims = static_cast<int>(shape.size());
  for (std::size_t i = 0; i < shape.size(); ++i) {
    view_.shape[i] = shape[i];
  }
  view_.row_stride = view_.row_elements();
}

Tensor::Tensor(Device& device, DType dtype, std::span<const std::int64_t> shape,
               std::string_view name)
    : Tensor(device.allocate(checked_bytes(dtype, shape, name), describe(name, dtype, shape)),
             device.place(), dtype, shape) {}

Tensor::Tensor(Device& device, DType dtype, std::initializer_list<std::int64_t> shape,
               std::string_view name)
    : Tensor(device, dtype, std::span(shape.begin(), shape.size()), name) {}

Tensor::Tensor(Place place, DType dtype, std::span<const std::int64_t> shape, std::string_view name)
    : Tensor(allocate_host(checked_bytes(dtype, shape, name), describe(name, dtype, shape)), place,
             dtype, shape) {
  if (place != Place::host) {
    throw DeviceError(
        fmt::format("{} is wanted on a device, but none was named", describe(name, dtype, shape)));
  }
}

Tensor::Tensor(Place place, DType dtype, std::initializer_list<std::int64_t> shape,
               std::string_view name)
    : Tensor(place, dtype, std::span(shape.begin(), shape.size()), name) {}

namespace {

template <typename T>
Tensor copied(Device& device, DType dtype, std::span<const T> values, std::string_view name) {
  Tensor tensor(device, dtype, {static_cast<std::int64_t>(values.size())}, name);
  device.copy_in(tensor.view().data, values.data(), values.size_bytes());
  device.synchronize();
  return tensor;
}

}  // namespace

Tensor Tensor::of(Device& device, std::span<const float> values, std::string_view name) {
  return copied(device, DType::f32, values, name);
}

Tensor Tensor::of(Device& device, std::span<const std::int32_t> values, std::string_view name) {
  return copied(device, DType::i32, values, name);
}

Tensor::Tensor(Tensor&& other) noexcept
    : memory_(std::move(other.memory_)), view_(std::exchange(other.view_, TensorView())) {}

Tensor& Tensor::operator=(Tensor&& other) noexcept {
  memory_ = std::move(other.memory_);
  view_ = std::exchange(other.view_, TensorView());
  return *this;
}

}  // namespace tutti
