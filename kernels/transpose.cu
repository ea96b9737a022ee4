// A block carries a tile of 64 x 64 elements through shared memory, so that both sides are walked
// along their rows.
#include "kernels/cuda_launch.cuh"

namespace tutti {
namespace {

constexpr int kTile = 64;
constexpr int kThreadRows = 8;  // of 32 threads

template <typename T>
__global__ void __launch_bounds__(32 * kThreadRows)
    transpose_kernel(const T* x, T* y, std::int64_t rows, std::int64_t columns,
                     std::int64_t y_stride, std::int64_t tile_columns) {
  // An odd number of 32-bit words a row: neither a row nor a column of threads meets a bank twice.
  __shared__ T tile[kTile][kTile + 4 / sizeof(T)];
  release_dependents();
  wait_for_predecessor();
  const std::int64_t first_row = blockIdx.x / tile_columns * kTile;
  const std::int64_t first_column = blockIdx.x % tile_columns * kTile;
#pragma unroll
  for (int i = 0; i < kTile; i += kThreadRows) {
    const std::int64_t row = first_row + i + threadIdx.y;
#pragma unroll
    for (int j = 0; j < kTile; j += 32) {
      const std::int64_t column = first_column + j + threadIdx.x;
      if (row < rows && column < columns) {
        tile[i + threadIdx.y][j + threadIdx.x] = x[row * columns + column];
      }
    }
  }
  __syncthreads();
#pragma unroll
  for (int i = 0; i < kTile; i += kThreadRows) {
    const std::int64_t column = first_column + i + threadIdx.y;
#pragma unroll
    for (int j = 0; j < kTile; j += 32) {
      const std::int64_t row = first_row + j + threadIdx.x;
      if (row < rows && column < columns) {
        y[column * y_stride + row] = tile[j + threadIdx.x][i + threadIdx.y];
      }
    }
  }
}

template <typename T>
void transpose_as(CudaContext& context, const Exec& exec, const TransposeArgs& args) {
  const std::int64_t rows = args.x.shape[0];
  const std::int64_t columns = args.x.shape[1];
  const std::int64_t tile_rows = (rows + kTile - 1) / kTile;
  const std::int64_t tile_columns = (columns + kTile - 1) / kTile;
  launch(context, exec, "transpose", &transpose_kernel<T>,
         dim3(static_cast<unsigned>(tile_rows * tile_columns)), dim3(32, kThreadRows), 0,
         static_cast<const T*>(args.x.data), static_cast<T*>(args.y.data), rows, columns,
         args.y.row_stride, tile_columns);
}

}  // namespace

void transpose_cuda(CudaContext& context, const Exec& exec, const TransposeArgs& args) {
  if (size_of(args.x.dtype) == 2) {
    transpose_as<std::uint16_t>(context, exec, args);
  } else {
    transpose_as<std::uint32_t>(context, exec, args);
  }
}

}  // namespace tutti
