// Bound by the hash's integer arithmetic (about 35 instructions an element) before memory: a thread
// makes eight neighbours and stores them at once.
#include <algorithm>

#include "kernels/cuda_launch.cuh"
#include "kernels/cuda_vectors.cuh"

namespace tutti {
namespace {

struct Fill {
  std::int64_t rows;
  std::int64_t columns;
  std::int64_t row_stride;
  RandomCounters counters;
  float scale;
  float offset;
};

// Threads [blockDim.x groups of 8 columns, blockDim.y rows]; both dimensions stride over the grid.
template <typename T, bool kVectors>
__global__ void __launch_bounds__(256) fill_random_kernel(T* y, Fill fill) {
  release_dependents();
  wait_for_predecessor();
  const std::int64_t first_column = (std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * kLanes;
  const std::int64_t column_step = std::int64_t{gridDim.x} * blockDim.x * kLanes;
  const std::int64_t row_step = std::int64_t{gridDim.y} * blockDim.y;
  for (std::int64_t row = std::int64_t{blockIdx.y} * blockDim.y + threadIdx.y; row < fill.rows;
       row += row_step) {
    for (std::int64_t column = first_column; column < fill.columns; column += column_step) {
      std::uint64_t counter = fill.counters.first +
                              static_cast<std::uint64_t>(row) * fill.counters.row +
                              static_cast<std::uint64_t>(column) * fill.counters.column;
      float v[kLanes];
#pragma unroll
      for (int i = 0; i < kLanes; ++i, counter += fill.counters.column) {
        v[i] = __fmaf_rn(fill.scale, random_of_counter(counter), fill.offset);
      }
      T* to = y + row * fill.row_stride + column;
      if (kVectors && column + kLanes <= fill.columns) {
        store8(to, v);
      } else {
#pragma unroll
        for (int i = 0; i < kLanes; ++i) {
          if (column + i < fill.columns) {
            to[i] = narrow<T>(v[i]);
          }
        }
      }
    }
  }
}

}  // namespace

void fill_random_cuda(CudaContext& context, const Exec& exec, const FillRandomArgs& args) {
  Fill fill{.rows = args.y.rows(),
            .columns = args.y.row_elements(),
            .row_stride = args.y.row_stride,
            .counters = counters_of(args),
            .scale = args.scale,
            .offset = args.offset};
  if (fill.rows == 0 || fill.columns == 0) {
    return;
  }
  if (!args.transposed && args.y.contiguous()) {  // one long row
    fill.columns *= fill.rows;
    fill.rows = 1;
  }
  const auto address = reinterpret_cast<std::uintptr_t>(args.y.data);
  const auto row_bytes = fill.row_stride * static_cast<std::int64_t>(size_of(args.y.dtype));
  const bool vectors = address % 16 == 0 && (fill.rows == 1 || row_bytes % 16 == 0);
  const std::int64_t groups = (fill.columns + kLanes - 1) / kLanes;
  unsigned width = 1;
  while (width < 256 && width < groups) {
    width *= 2;
  }
  const dim3 block(width, 256 / width);
  const std::int64_t most_blocks = std::int64_t{context.multiprocessors} * 64;
  const auto grid_x = static_cast<unsigned>(std::min((groups + width - 1) / width, most_blocks));
  const auto grid_y =
      static_cast<unsigned>(std::min<std::int64_t>((fill.rows + block.y - 1) / block.y, 65535));
  with_cuda_type(args.y.dtype, [&](auto zero) {
    using T = decltype(zero);
    launch(context, exec, "fill_random",
           vectors ? &fill_random_kernel<T, true> : &fill_random_kernel<T, false>,
           dim3(grid_x, grid_y), block, 0, static_cast<T*>(args.y.data), fill);
  });
}

}  // namespace tutti
