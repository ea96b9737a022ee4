// Nothing but loads in flight: a block walks over contiguous tiles, each thread with eight loads of
// 16 bytes at once; the last block to end adds up what the blocks found.
#include <algorithm>

#include "kernels/cuda_launch.cuh"
#include "kernels/cuda_types.cuh"

namespace tutti {
namespace {

constexpr int kThreads = 256;
constexpr int kLoads = 8;
constexpr std::int64_t kTile = std::int64_t{kThreads} * kLoads;  // of 16 bytes: 32 KiB
constexpr int kBlocksPerMultiprocessor = 4;

__device__ inline std::uint32_t sum_of(const uint4& v) {
  return v.x + v.y + v.z + v.w;
}

// Valid in thread 0.
__device__ inline std::uint32_t sum_of_block(std::uint32_t sum) {
  __shared__ std::uint32_t shared[kThreads / 32];
  sum = __reduce_add_sync(0xffffffffu, sum);
  if (threadIdx.x % 32 == 0) {
    shared[threadIdx.x / 32] = sum;
  }
  __syncthreads();
  sum = 0;
#pragma unroll
  for (int warp = 0; warp < kThreads / 32; ++warp) {
    sum += shared[warp];
  }
  __syncthreads();
  return sum;
}

__global__ void __launch_bounds__(kThreads, kBlocksPerMultiprocessor)
    stream_read_kernel(const uint4* x, std::int64_t count, std::uint32_t* y, std::uint32_t* partial,
                       std::int32_t* counter) {
  release_dependents();
  wait_for_predecessor();
  std::uint32_t sum = 0;
  const std::int64_t tiles = count / kTile;
  for (std::int64_t tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
    const uint4* from = x + tile * kTile + threadIdx.x;
    uint4 v[kLoads];
#pragma unroll
    for (int i = 0; i < kLoads; ++i) {
      v[i] = load_streaming(from + i * kThreads);
    }
#pragma unroll
    for (int i = 0; i < kLoads; ++i) {
      sum += sum_of(v[i]);
    }
  }
  const std::int64_t rest = tiles * kTile + std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  for (std::int64_t i = rest; i < count; i += std::int64_t{gridDim.x} * kThreads) {
    sum += sum_of(load_streaming(x + i));
  }
  sum = sum_of_block(sum);
  __shared__ bool last;
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = sum;
    __threadfence();
    last = atomicAdd(counter, 1) == static_cast<std::int32_t>(gridDim.x) - 1;
  }
  __syncthreads();
  if (!last) {
    return;
  }
  __threadfence();
  sum = 0;
  for (unsigned block = threadIdx.x; block < gridDim.x; block += kThreads) {
    sum += __ldcg(partial + block);
  }
  sum = sum_of_block(sum);
  if (threadIdx.x == 0) {
    *y = sum;
    *counter = 0;
  }
}

}  // namespace

void stream_read_cuda(CudaContext& context, const Exec& exec, const StreamReadArgs& args) {
  const auto count = static_cast<std::int64_t>(args.x.bytes() / 16);
  const std::int64_t blocks =
      std::clamp<std::int64_t>((count + kTile - 1) / kTile, 1,
                               std::int64_t{context.multiprocessors} * kBlocksPerMultiprocessor);
  launch(context, exec, "stream_read", &stream_read_kernel, dim3(static_cast<unsigned>(blocks)),
         dim3(kThreads), 0, static_cast<const uint4*>(args.x.data), count,
         static_cast<std::uint32_t*>(args.y.data),
         reinterpret_cast<std::uint32_t*>(context.workspace), context.counters);
}

}  // namespace tutti
