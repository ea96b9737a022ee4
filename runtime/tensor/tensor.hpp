// The owning tensor: memory with a shape. Allocated at start-up, never per token.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string_view>

#include "kernels/tensor_view.hpp"

namespace tutti {

// Dense, row-major, not initialised: each thread's first touch places the pages. Move-only.
class Tensor {
 public:
  static constexpr std::size_t kAlignment = 64;  // bytes: a cache line, an AVX-512 register

  Tensor() = default;
  // Up to TensorView::kMaxDims dimensions. `name` is for messages. Errors: CapacityError (out of
  // memory: says which tensor and how many bytes), ConfigError (a negative extent, too many
  // dimensions), DeviceError (a place that this build has no memory at).
  Tensor(Place place, DType dtype, std::span<const std::int64_t> shape,
         std::string_view name = "tensor");
  Tensor(Place place, DType dtype, std::initializer_list<std::int64_t> shape,
         std::string_view name = "tensor");

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
  struct Release {
    void operator()(std::byte* memory) const noexcept;
  };
  std::unique_ptr<std::byte, Release> memory_;
  TensorView view_;
};

}  // namespace tutti
