// A borrowed, shaped piece of memory: what every kernel takes.
#pragma once

#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "kernels/dtype.hpp"
#include "kernels/range.hpp"

namespace tutti {

enum class Place : std::uint8_t { host, cuda };

// Row-major. Dimensions after the first are dense; rows (dimension 0) lie `row_stride` elements
// apart, so that a column slice of a wider matrix is a view too. Copies are cheap and never own.
struct TensorView {
  static constexpr int kMaxDims = 4;

  void* data = nullptr;
  DType dtype = DType::f32;
  Place place = Place::host;
  int dims = 0;
  std::array<std::int64_t, kMaxDims> shape{};
  std::int64_t row_stride = 0;  // elements

  TensorView() = default;
  TensorView(void* data_in, DType dtype_in, Place place_in,
             std::initializer_list<std::int64_t> shape_in)
      : data(data_in), dtype(dtype_in), place(place_in), dims(static_cast<int>(shape_in.size())) {
    assert(dims <= kMaxDims);
    int i = 0;
    for (std::int64_t extent : shape_in) {
      shape[static_cast<std::size_t>(i++)] = extent;
    }
    row_stride = row_elements();
  }

  std::int64_t rows() const { return dims == 0 ? 0 : shape[0]; }
  // Elements of one row: the product of all dimensions but the first.
  std::int64_t row_elements() const {
    std::int64_t n = 1;
    for (int i = 1; i < dims; ++i) {
      n *= shape[static_cast<std::size_t>(i)];
    }
    return n;
  }
  std::int64_t elements() const { return rows() * row_elements(); }
  std::size_t bytes() const { return static_cast<std::size_t>(elements()) * size_of(dtype); }
  bool contiguous() const { return row_stride == row_elements(); }
  bool empty() const { return elements() == 0; }

  template <typename T>
  T* row(std::int64_t i) const {
    return static_cast<T*>(data) + i * row_stride;
  }

  // Rows [range.begin, range.end) of the same matrix.
  TensorView row_slice(Range range) const {
    TensorView view = *this;
    view.data = static_cast<std::byte*>(data) +
                static_cast<std::size_t>(range.begin * row_stride) * size_of(dtype);
    view.shape[0] = range.size();
    return view;
  }
  // Columns [range.begin, range.end) of a two-dimensional view; the rows keep their distance.
  TensorView column_slice(Range range) const {
    assert(dims == 2);
    TensorView view = *this;
    view.data =
        static_cast<std::byte*>(data) + static_cast<std::size_t>(range.begin) * size_of(dtype);
    view.shape[1] = range.size();
    return view;
  }
};

// "bf16 [4096, 11008]" for messages.
std::string describe(const TensorView& view);

}  // namespace tutti
