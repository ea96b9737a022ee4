// Slices of a small model file of several blocks, and what they hold when loaded.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "runtime/tensor/tensor.hpp"
#include "runtime/weights/weight_source.hpp"
#include "tests/runtime/weights/scratch_model.hpp"

namespace tutti::test {

// Stands for the matrices of a layer: several blocks of 4 MiB with a short last one, types of both
// sizes, a vector of each type.
inline ModelContents layer_contents() {
  ModelContents contents = small_contents();
  contents.tensors = {
      {"up", DType::bf16, {5000, 1024}, ""}, {"down", DType::bf16, {4100, 1030}, ""},
      {"wide", DType::f32, {700, 3000}, ""}, {"turned", DType::f32, {1200, 1001}, ""},
      {"norm16", DType::bf16, {1031}, ""},   {"norm32", DType::f32, {77}, ""},
      {"halves", DType::f16, {513}, ""}};
  return contents;
}

// Some rows of each, none on a block's border.
inline std::vector<WeightSlice> layer_slices() {
  using Layout = WeightSlice::Layout;
  return {{.name = "up", .shape = {5000, 1024}, .rows = {17, 4990}},
          {.name = "norm16", .shape = {1031}, .rows = {0, 1031}, .layout = Layout::vector},
          {.name = "down", .shape = {4100, 1030}, .rows = {5, 4099}, .layout = Layout::transposed},
          {.name = "wide", .shape = {700, 3000}, .rows = {0, 700}},
          {.name = "turned", .shape = {1200, 1001}, .rows = {7, 8}, .layout = Layout::transposed},
          {.name = "norm32", .shape = {77}, .rows = {0, 77}, .layout = Layout::vector},
          {.name = "halves", .shape = {513}, .rows = {0, 513}, .layout = Layout::vector}};
}

// Memory for the slices on the device; sets their destinations.
inline std::vector<Tensor> allocate(Device& device, const WeightSource& source,
                                    std::vector<WeightSlice>& slices) {
  std::vector<Tensor> tensors;
  for (WeightSlice& slice : slices) {
    const std::int64_t rows = slice.rows.size();
    const DType stored = source.dtype(slice.name, slice.shape);
    if (slice.layout == WeightSlice::Layout::vector) {
      tensors.push_back(Tensor(device, DType::f32, {rows}, slice.name));
    } else if (slice.layout == WeightSlice::Layout::transposed) {
      tensors.push_back(Tensor(device, stored, {slice.shape[1], rows}, slice.name));
    } else {
      tensors.push_back(Tensor(device, stored, {rows, slice.shape[1]}, slice.name));
    }
    slice.to = tensors.back().view();
    device.fill_zero(slice.to.data, slice.to.bytes());
  }
  return tensors;
}

inline Bytes contents_of(Device& device, const TensorView& view) {
  Bytes bytes(view.bytes());
  device.copy_out(bytes.data(), view.data, bytes.size());
  device.synchronize();
  return bytes;
}

// What a slice holds, from the bytes of the file, element by element.
inline Bytes expected_of(const ModelFile& file, const WeightSlice& slice) {
  const TensorInfo& tensor = *file.find(slice.name);
  const Bytes rows = read(file, tensor, slice.rows);
  const std::size_t size = size_of(tensor.dtype);
  if (slice.layout == WeightSlice::Layout::rows) {
    return rows;
  }
  if (slice.layout == WeightSlice::Layout::transposed) {
    Bytes turned(rows.size());
    const auto count = static_cast<std::size_t>(slice.rows.size());
    const auto columns = static_cast<std::size_t>(slice.shape[1]);
    for (std::size_t r = 0; r < count; ++r) {
      for (std::size_t c = 0; c < columns; ++c) {
        std::memcpy(&turned[(c * count + r) * size], &rows[(r * columns + c) * size], size);
      }
    }
    return turned;
  }
  Bytes wide(static_cast<std::size_t>(slice.rows.size()) * 4);
  for (std::size_t i = 0; i < wide.size() / 4; ++i) {
    float value = 0;
    if (tensor.dtype == DType::f32) {
      std::memcpy(&value, &rows[4 * i], 4);
    } else {
      std::uint16_t bits = 0;
      std::memcpy(&bits, &rows[2 * i], 2);
      value = tensor.dtype == DType::bf16 ? to_float(bf16{bits}) : to_float(f16{bits});
    }
    std::memcpy(&wide[4 * i], &value, 4);
  }
  return wide;
}

// Empty where they are the same, or the first difference.
inline std::string difference(const Bytes& wanted, const Bytes& found) {
  if (wanted.size() != found.size()) {
    return fmt::format("{} bytes wanted, {} found", wanted.size(), found.size());
  }
  const auto at = std::mismatch(wanted.begin(), wanted.end(), found.begin()).first - wanted.begin();
  return at == std::ssize(wanted)
             ? std::string()
             : fmt::format("byte {} of {}: wanted {:02x}, found {:02x}", at, wanted.size(),
                           static_cast<int>(wanted[static_cast<std::size_t>(at)]),
                           static_cast<int>(found[static_cast<std::size_t>(at)]));
}

}  // namespace tutti::test
