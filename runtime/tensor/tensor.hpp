// The owning tensor: memory with a shape. Allocated at start-up, never per token.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>
#include <utility>

#include "kernels/tensor_view.hpp"
#include "runtime/device/device.hpp"

namespace tutti {

// Dense, row-major, not initialised: on the host each thread's first touch places the pages.
// Move-only.
class Tensor {
 public:
  static constexpr std::size_t kAlignment = 256;  // bytes, at every place

  Tensor() = default;
  // Up to TensorView::kMaxDims dimensions. `name` is for messages. Errors: CapacityError (out of
  // memory: says which tensor and how many bytes), ConfigError (a negative extent, too many
  // dimensions).
  Tensor(Device& device, DType dtype, std::span<const std::int64_t> shape,
         std::string_view name = "tensor");
  Tensor(Device& device, DType dtype, std::initializer_list<std::int64_t> shape,
         std::string_view name = "tensor");
  // The same on the host, where no Device is at hand. Errors also: DeviceError for another place.
  Tensor(Place place, DType dtype, std::span<const std::int64_t> shape,
         std::string_view name = "tensor");
  Tensor(Place place, DType dtype, std::initializer_list<std::int64_t> shape,
         std::string_view name = "tensor");

  // Takes over memory that holds at least the shape.
  Tensor(DeviceMemory memory, Place place, DType dtype, std::span<const std::int64_t> shape);
  Tensor(DeviceMemory memory, Place place, DType dtype, std::initializer_list<std::int64_t> shape)
      : Tensor(std::move(memory), place, dtype, std::span(shape.begin(), shape.size())) {}

  // A device's copy of values on the host; waits until it is there.
  static Tensor of(Device& device, std::span<const float> values, std::string_view name);
  static Tensor of(Device& device, std::span<const std::int32_t> values, std::string_view name);

  // Borrowed; good as long as the tensor lives, also after it was moved. Shape [shape...].
  const TensorView& view() const { return view_; }
  std::size_t bytes() const { return view_.bytes(); }
  template <typename T>
  T* data() const {
    return static_cast<T*>(view_.data);
  }

  Tensor(Tensor&& other) noexcept;
  Tensor& operator=(Tensor&& other) noexcept;
  Tensor(const Tensor&) = delete;
  Tensor& operator=(const Tensor&) = delete;
  ~Tensor() = default;

 private:
  DeviceMemory memory_;
  TensorView view_;
};

}  // namespace tutti
