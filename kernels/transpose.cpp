#include "kernels/transpose.hpp"

#include <algorithm>

#include "kernels/check.hpp"
#include "kernels/device_ops.hpp"

namespace tutti {
namespace {

// Tiles that lie in the first-level cache whole, input and output.
constexpr std::int64_t kTile = 32;

template <typename T>
void transpose_host(const Exec& exec, const TransposeArgs& args) {
  const std::int64_t rows = args.x.shape[0];
  const std::int64_t columns = args.x.shape[1];
  const std::int64_t tile_columns = (columns + kTile - 1) / kTile;
  [[maybe_unused]] const int threads = threads_for(exec, rows * columns);
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
  for (std::int64_t tile = 0; tile < tile_columns; ++tile) {
    const std::int64_t begin = tile * kTile;
    const std::int64_t end = std::min(begin + kTile, columns);
    for (std::int64_t row = 0; row < rows; row += kTile) {
      const std::int64_t row_end = std::min(row + kTile, rows);
      for (std::int64_t c = begin; c < end; ++c) {
        T* y = args.y.row<T>(c);
        for (std::int64_t r = row; r < row_end; ++r) {
          y[r] = args.x.row<T>(r)[c];
        }
      }
    }
  }
}

}  // namespace

void transpose(const Exec& exec, const TransposeArgs& args) {
  constexpr const char* op = "transpose";
  check_view(exec, op, "x", args.x, args.x.dtype, {kAnyExtent, kAnyExtent});
  check_view(exec, op, "y", args.y, args.x.dtype, {args.x.shape[1], args.x.shape[0]});
  check_that(args.x.contiguous(), op, "x is {} with rows {} apart, wanted a dense matrix",
             describe(args.x), args.x.row_stride);
  if (on_device(exec, op)) {
    return exec.ops->transpose(exec, args);
  }
  if (size_of(args.x.dtype) == 2) {
    transpose_host<std::uint16_t>(exec, args);
  } else {
    transpose_host<std::uint32_t>(exec, args);
  }
}

}  // namespace tutti
