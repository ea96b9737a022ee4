// The kernels that exchange small messages and compute on them on arrival.
#include <algorithm>

#include "kernels/cuda_launch.cuh"
#include "runtime/comm/nccl_exchange.cuh"
#include "runtime/comm/nccl_fused.hpp"

namespace tutti {
namespace {

// The same on all threads; one barrier.
__device__ inline float sum_of_block(float value) {
  __shared__ float of_warp[kMaxThreads / 32];
  for (int other = 16; other > 0; other /= 2) {
    value += __shfl_xor_sync(~0u, value, other);
  }
  const int lane = threadIdx.x % 32;
  if (lane == 0) {
    of_warp[threadIdx.x / 32] = value;
  }
  __syncthreads();
  value = lane < blockDim.x / 32 ? of_warp[lane] : 0.0f;
  for (int other = 16; other > 0; other /= 2) {
    value += __shfl_xor_sync(~0u, value, other);
  }
  return value;
}

// A block does one row of x, each thread kItems packets of it, blockDim.x packets apart.
template <typename T, int kItems, int kPeers>
__global__ void __launch_bounds__(kMaxThreads)
    add_rmsnorm_kernel(const __grid_constant__ Exchange e, const __grid_constant__ Rows<T> rows) {
  constexpr int kE = kElements<T>;
  constexpr int kTogether = kPeers == 1 ? kItems : 1;  // items waited for at once: registers
  constexpr bool kWeightEarly = kItems <= 2;
  release_dependents();
  const auto slot = [&](int item) {
    const int packet = static_cast<int>(threadIdx.x) + item * static_cast<int>(blockDim.x);
    return packet < rows.packets ? packet : -1;
  };
  float weight[kItems][kE];
  if (kWeightEarly) {
#pragma unroll
    for (int i = 0; i < kItems; ++i) {
      if (slot(i) >= 0) {
        load_floats(weight[i], rows.weight + slot(i) * kE, rows.aligned);
      }
    }
  }
  wait_for_predecessor();
  uint4* const own = block_of(e, e.rank);
  const uint32_t epoch = epoch_after(own->x);
  const long long parity = kHeader + (epoch & 1) * static_cast<long long>(e.ranks) * e.slots;
  const T* x = rows.x + blockIdx.x * rows.x_stride;
  uint2 mine[kItems];
#pragma unroll
  for (int i = 0; i < kItems; ++i) {
    if (slot(i) >= 0) {
      mine[i] = load_packet(x + slot(i) * kE, rows.aligned);
      for (int peer = 1; peer < e.ranks; ++peer) {
        const int to = e.rank + peer < e.ranks ? e.rank + peer : e.rank + peer - e.ranks;
        put(block_of(e, to) + parity + static_cast<long long>(e.rank) * e.slots + slot(i), mine[i],
            epoch);
      }
    }
  }
  float* residual = rows.residual + blockIdx.x * rows.residual_stride;
  float value[kItems][kE];  // while the packets travel
#pragma unroll
  for (int i = 0; i < kItems; ++i) {
    if (slot(i) >= 0) {
      load_floats(value[i], residual + slot(i) * kE, rows.aligned);
    }
  }
  float squares = 0;
#pragma unroll
  for (int first = 0; first < kItems; first += kTogether) {
    Received<kPeers> theirs[kTogether];
    receive<kTogether, kPeers>(
        e, own + parity, epoch, [&](int i) { return slot(first + i); }, theirs);
#pragma unroll
    for (int i = 0; i < kTogether; ++i) {
      if (slot(first + i) >= 0) {
        float sum[kE];
        add_ranks<T, kPeers>(e, mine[first + i], theirs[i], sum);
#pragma unroll
        for (int k = 0; k < kE; ++k) {
          value[first + i][k] += sum[k];
          squares += value[first + i][k] * value[first + i][k];
        }
        store_floats(residual + slot(first + i) * kE, value[first + i], rows.aligned);
      }
    }
  }
  const float mean = sum_of_block(squares) / static_cast<float>(rows.packets * kE);
  const float scale = 1.0f / sqrtf(mean + rows.eps);
  if (threadIdx.x == 0) {
    own->x = epoch;  // all threads have read it before the barrier in the sum
  }
  T* y = rows.y + blockIdx.x * rows.y_stride;
#pragma unroll
  for (int i = 0; i < kItems; ++i) {
    if (slot(i) >= 0) {
      if (!kWeightEarly) {
        load_floats(weight[i], rows.weight + slot(i) * kE, rows.aligned);
      }
#pragma unroll
      for (int k = 0; k < kE; ++k) {
        value[i][k] = value[i][k] * scale * weight[i][k];
      }
      store_packet<T>(y + slot(i) * kE, value[i], rows.aligned);
    }
  }
}

// A block does kMaxThreads packets of the message, which lies in one piece.
template <typename T, int kPeers>
__global__ void __launch_bounds__(kMaxThreads)
    sum_kernel(const __grid_constant__ Exchange e, const __grid_constant__ Rows<T> rows) {
  constexpr int kE = kElements<T>;
  release_dependents();
  wait_for_predecessor();
  const long long packet = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x;
  const auto slot = [&](int) { return packet < rows.packets ? static_cast<int>(threadIdx.x) : -1; };
  uint4* const own = block_of(e, e.rank);
  const uint32_t epoch = epoch_after(own->x);
  const long long parity = kHeader + (epoch & 1) * static_cast<long long>(e.ranks) * e.slots;
  if (slot(0) >= 0) {
    const uint2 mine = load_packet(rows.x + packet * kE, rows.aligned);
    for (int peer = 1; peer < e.ranks; ++peer) {
      const int to = e.rank + peer < e.ranks ? e.rank + peer : e.rank + peer - e.ranks;
      put(block_of(e, to) + parity + static_cast<long long>(e.rank) * e.slots + slot(0), mine,
          epoch);
    }
    Received<kPeers> theirs[1];
    receive<1, kPeers>(e, own + parity, epoch, slot, theirs);
    float sum[kE];
    add_ranks<T, kPeers>(e, mine, theirs[0], sum);
    store_packet<T>(rows.y + packet * kE, sum, rows.aligned);
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    own->x = epoch;
  }
}

bool aligned_rows(const TensorView& view, std::size_t bytes) {
  return reinterpret_cast<std::uintptr_t>(view.data) % bytes == 0 &&
         (view.rows() <= 1 ||
          static_cast<std::size_t>(view.row_stride) * size_of(view.dtype) % bytes == 0);
}

unsigned round_up_to_warp(long long threads) {
  return static_cast<unsigned>((threads + 31) / 32 * 32);
}

template <typename T, int kItems>
void launch_norm(const CudaContext& context, const Exec& exec, const Exchange& exchange,
                 const Rows<T>& rows, int tokens) {
  const dim3 grid(static_cast<unsigned>(tokens));
  const dim3 block(round_up_to_warp((rows.packets + kItems - 1) / kItems));
  const char* name = "all_reduce_add_rmsnorm";
  if (exchange.ranks <= 2) {
    launch(context, exec, name, add_rmsnorm_kernel<T, kItems, 1>, grid, block, 0, exchange, rows);
  } else {
    launch(context, exec, name, add_rmsnorm_kernel<T, kItems, kMaxRanks - 1>, grid, block, 0,
           exchange, rows);
  }
}

__global__ void nothing_kernel() {}

}  // namespace

struct NcclFused::State {
  CudaContext context;
  Exchange exchange{};
  int blocks = 0;
  int tokens = 0;
  std::size_t sum_bytes = 0;
};

NcclFused::NcclFused(NcclHandle& handle, int rank, int ranks, const int* stop,
                     const NcclOptions& options)
    : state_(std::make_unique<State>()) {
  State& state = *state_;
  const std::size_t block_bytes = std::size_t{kMaxThreads} * kPacketBytes;
  const std::size_t row_bytes = std::min(options.fused_row_bytes, block_bytes * kMaxItems);
  state.context.capability = compiled_capability(nothing_kernel);
  state.tokens = std::max(options.fused_tokens, 0);
  state.sum_bytes = std::min(options.small_sum_bytes, 16 * block_bytes);
  state.blocks =
      std::max(state.tokens, static_cast<int>((state.sum_bytes + block_bytes - 1) / block_bytes));
  state.exchange.rank = rank;
  state.exchange.ranks = ranks;
  state.exchange.slots = static_cast<int>(std::max(row_bytes, block_bytes) / kPacketBytes);
  state.exchange.stop = stop;
  if (ranks > kMaxRanks) {
    throw CommError(fmt::format("own kernels want at most {} ranks, found {}", kMaxRanks, ranks));
  }
#ifdef NCCL_DEV_COMM_REQUIREMENTS_INITIALIZER
  ncclDevCommRequirements wanted = NCCL_DEV_COMM_REQUIREMENTS_INITIALIZER;
#else
  ncclDevCommRequirements wanted{};
#endif
  ncclDevResourceRequirements memory{};
  memory.bufferSize = std::size_t{16} * static_cast<std::size_t>(std::max(state.blocks, 1)) *
                      (kHeader + 2 * static_cast<std::size_t>(ranks * state.exchange.slots));
  memory.bufferAlign = 128;
  memory.outBufferHandle = &state.exchange.buffer;
  wanted.resourceRequirementsList = &memory;
  wanted.lsaMultimem = false;  // multicast is not for us to rely on
  wanted.lsaBarrierCount = 1;  // unused; none at all is a request that NCCL is never sent
  handle.run("ncclDevCommCreate",
             [&] { return ncclDevCommCreate(handle.get(), &wanted, &state.exchange.comm); });
  // A communicator that does not block may say success and fill the structure a little later.
  handle.wait_until("ncclDevCommCreate",
                    [&] { return ncclTeamLsa(state.exchange.comm).nRanks != 0; });
  const ncclTeam team = ncclTeamLsa(state.exchange.comm);
  if (team.nRanks != ranks || team.rank != rank) {
    throw CommError(fmt::format("rank {} sees the memory of {} of {} GPUs (no peer access)", rank,
                                team.nRanks, ranks));
  }
}

NcclFused::~NcclFused() = default;

void NcclFused::close(NcclHandle& handle) {
  handle.run("ncclDevCommDestroy",
             [&] { return ncclDevCommDestroy(handle.get(), &state_->exchange.comm); });
}

bool NcclFused::takes(const TensorView& x) const {
  return !x.empty() && x.bytes() <= state_->sum_bytes && x.bytes() % kPacketBytes == 0;
}

bool NcclFused::takes(const AddRmsnormArgs& args) const {
  const std::size_t row_bytes =
      static_cast<std::size_t>(args.x.row_elements()) * size_of(args.x.dtype);
  return args.x.rows() > 0 && args.x.rows() <= state_->tokens && row_bytes > 0 &&
         row_bytes % kPacketBytes == 0 &&
         row_bytes <= static_cast<std::size_t>(state_->exchange.slots) * kPacketBytes;
}

void NcclFused::sum(const Exec& exec, const TensorView& x) {
  const auto packets = static_cast<long long>(x.bytes() / kPacketBytes);
  const dim3 grid(static_cast<unsigned>((packets + kMaxThreads - 1) / kMaxThreads));
  const dim3 block(round_up_to_warp(std::min<long long>(packets, kMaxThreads)));
  with_cuda_type(x.dtype, [&](auto zero) {
    using T = decltype(zero);
    Rows<T> rows{};
    rows.x = static_cast<const T*>(x.data);
    rows.y = static_cast<T*>(x.data);
    rows.packets = packets;
    rows.aligned = reinterpret_cast<std::uintptr_t>(x.data) % kPacketBytes == 0;
    const auto kernel =
        state_->exchange.ranks <= 2 ? sum_kernel<T, 1> : sum_kernel<T, kMaxRanks - 1>;
    launch(state_->context, exec, "all_reduce_sum", kernel, grid, block, 0, state_->exchange, rows);
  });
}

void NcclFused::add_rmsnorm(const Exec& exec, const AddRmsnormArgs& args) {
  const int tokens = static_cast<int>(args.x.rows());
  with_cuda_type(args.x.dtype, [&](auto zero) {
    using T = decltype(zero);
    constexpr std::size_t kFloats = kElements<T> * sizeof(float);
    Rows<T> rows{};
    rows.x = static_cast<const T*>(args.x.data);
    rows.y = static_cast<T*>(args.y.data);
    rows.residual = static_cast<float*>(args.residual.data);
    rows.weight = static_cast<const float*>(args.weight.data);
    rows.x_stride = args.x.row_stride;
    rows.y_stride = args.y.row_stride;
    rows.residual_stride = args.residual.row_stride;
    rows.packets = args.x.row_elements() / kElements<T>;
    rows.aligned = aligned_rows(args.x, kPacketBytes) && aligned_rows(args.y, kPacketBytes) &&
                   aligned_rows(args.residual, kFloats) &&
                   reinterpret_cast<std::uintptr_t>(args.weight.data) % kFloats == 0;
    rows.eps = args.eps;
    if (rows.packets <= kMaxThreads) {
      launch_norm<T, 1>(state_->context, exec, state_->exchange, rows, tokens);
    } else if (rows.packets <= 2 * kMaxThreads) {
      launch_norm<T, 2>(state_->context, exec, state_->exchange, rows, tokens);
    } else if (rows.packets <= 4 * kMaxThreads) {
      launch_norm<T, 4>(state_->context, exec, state_->exchange, rows, tokens);
    } else {
      launch_norm<T, kMaxItems>(state_->context, exec, state_->exchange, rows, tokens);
    }
  });
}

void wait_for_all_before(const Exec& exec) {
  nothing_kernel<<<1, 1, 0, static_cast<cudaStream_t>(exec.stream)>>>();  // no dependent launch
  TUTTI_CUDA(cudaGetLastError());
}

}  // namespace tutti
