#include "runtime/tensor/tensor.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <new>
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

void Tensor::Release::operator()(std::byte* memory) const noexcept {
  ::operator delete (memory, std::align_val_t{kAlignment});
}

Tensor::Tensor(Place place, DType dtype, std::span<const std::int64_t> shape,
               std::string_view name) {
  const std::size_t bytes = checked_bytes(dtype, shape, name);
  if (place != Place::host) {
    throw DeviceError(fmt::format("{} is wanted on a device, but this build has the host only",
                                  describe(name, dtype, shape)));
  }
  if (bytes > 0) {
    void* memory = ::operator new (bytes, std::align_val_t{kAlignment}, std::nothrow);
    if (memory == nullptr) {
      throw CapacityError(fmt::format("out of memory: {} needs {} bytes ({:.1f} GiB)",
                                      describe(name, dtype, shape), bytes,
                                      static_cast<double>(bytes) / 0x1p30));
    }
    memory_.reset(static_cast<std::byte*>(memory));
  }
  view_.data = memory_.get();
  view_.dtype = dtype;
  view_.place = place;
  view_.dims = static_cast<int>(shape.size());
  for (std::size_t i = 0; i < shape.size(); ++i) {
    view_.shape[i] = shape[i];
  }
  view_.row_stride = view_.row_elements();
}

Tensor::Tensor(Place place, DType dtype, std::initializer_list<std::int64_t> shape,
               std::string_view name)
    : Tensor(place, dtype, std::span(shape.begin(), shape.size()), name) {}

Tensor::Tensor(Tensor&& other) noexcept
    : memory_(std::move(other.memory_)), view_(std::exchange(other.view_, TensorView())) {}

Tensor& Tensor::operator=(Tensor&& other) noexcept {
  memory_ = std::move(other.memory_);
  view_ = std::exchange(other.view_, TensorView());
  return *this;
}

}  // namespace tutti
