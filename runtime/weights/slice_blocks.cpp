#include "runtime/weights/slice_blocks.hpp"

#include <fmt/format.h>

#include "kernels/error.hpp"

namespace tutti {
namespace {

void check_destination(const WeightSlice& slice, const TensorInfo& tensor) {
  using Layout = WeightSlice::Layout;
  const std::int64_t rows = slice.rows.size();
  const std::int64_t columns = tensor.row_elements();
  const bool transposed = slice.layout == Layout::transposed;
  const DType dtype = slice.layout == Layout::vector ? DType::f32 : tensor.dtype;
  const bool shaped = transposed ? slice.to.rows() == columns && slice.to.row_elements() == rows
                                 : slice.to.rows() == rows && slice.to.row_elements() == columns;
  if (slice.to.dtype != dtype || !shaped || !slice.to.contiguous()) {
    throw ModelFileError(fmt::format("{}: rows {}..{} of {} [{}, {}] do not go into {}{}",
                                     slice.name, slice.rows.begin, slice.rows.end,
                                     name_of(tensor.dtype), tensor.rows(), columns,
                                     describe(slice.to), transposed ? ", transposed" : ""));
  }
}

}  // namespace

std::vector<SliceBlock> blocks_of(const FileReading& from, std::span<const WeightSlice> slices) {
  std::vector<SliceBlock> all;
  for (const WeightSlice& slice : slices) {
    const TensorInfo& tensor = from.file.require(slice.name, slice.shape);
    check_destination(slice, tensor);
    for (const RowBlock& block : from.file.blocks(tensor, slice.rows, from.options.check)) {
      all.push_back({&slice, block});
    }
  }
  return all;
}

}  // namespace tutti
