// Products of a weight matrix with up to 16 tokens: what is launched, and with how much memory. The
// kernel is in skinny_gemm_kernel.cuh; gemm.cu and gated_gemm.cu compile it.
#pragma once

#include <algorithm>

#include "kernels/cuda_launch.cuh"
#include "kernels/cuda_types.cuh"
#include "kernels/skinny_gemm_kernel.cuh"

namespace tutti::skinny {

// 16-bit elements in rows that are whole 16-byte vectors.
inline bool takes(const TensorView& x, const TensorView& weight) {
  const auto in_vectors = [](const TensorView& view) {
    return reinterpret_cast<std::uintptr_t>(view.data) % 16 == 0 && view.row_stride % 8 == 0;
  };
  return size_of(weight.dtype) == 2 && x.rows() <= kMostTokens && weight.shape[1] % 8 == 0 &&
         in_vectors(x) && in_vectors(weight);
}

// Starts the kernel with this division of the work, unless a block would not fit the device.
template <typename C>
bool start_as(const CudaContext& context, const Exec& exec, const Args& args, int blocks) {
  // More than half of a multiprocessor's shared memory keeps a second block of the kernel away.
  constexpr std::size_t kReserved = 1024;  // of each block, for the system
  const std::size_t half = (context.shared_bytes + kReserved) / 2 + kReserved;
  const std::size_t wanted = shared_bytes<C>(args.tokens);
  const std::size_t shared = args.alone ? std::max(wanted, half) : wanted;
  if (shared > context.shared_bytes) {
    return false;
  }
  allow_shared_memory(&skinny_gemm_kernel<C>, shared);
  launch(context, exec, "skinny_gemm", &skinny_gemm_kernel<C>, dim3(static_cast<unsigned>(blocks)),
         dim3(kWarps * 32), shared, args);
  return true;
}

// args but for what follows from the device; `kGated`: rows of y are columns of the gate.
template <typename T, bool kGated, Activation kKind>
bool start(const CudaContext& context, const Exec& exec, Args args) {
  const int blocks = static_cast<int>(std::min<std::int64_t>(context.multiprocessors, args.rows));
  const std::int64_t rows_of_a_block = (args.rows + blocks - 1) / blocks * (kGated ? 2 : 1);
  const std::int64_t rows_at_once = std::min<std::int64_t>(rows_of_a_block, 32);
  args.release_ahead = context.gemm_tuning.release_ahead;
  args.prefetch = static_cast<int>(
      std::min<std::int64_t>(context.gemm_tuning.prefetch_bytes / rows_at_once / 16 * 8, 1 << 20));
  if (args.tokens <= 8) {
    if constexpr (!kGated) {
      if (rows_of_a_block <= 16) {  // more stages instead, so that as much is in flight
        return start_as<Division<T, 1, 1, 64, 8, kGated, kKind>>(context, exec, args, blocks);
      }
    }
    return start_as<Division<T, 2, 1, 64, 5, kGated, kKind>>(context, exec, args, blocks);
  }
  if (rows_of_a_block > 32) {  // more rows at once, so that x is fetched less often
    return start_as<Division<T, 4, 2, 32, 4, kGated, kKind>>(context, exec, args, blocks);
  }
  return start_as<Division<T, 2, 2, 64, 4, kGated, kKind>>(context, exec, args, blocks);
}

template <bool kGated, Activation kKind = Activation::silu>
bool start(const CudaContext& context, const Exec& exec, DType dtype, const Args& args) {
  return dtype == DType::bf16 ? start<__nv_bfloat16, kGated, kKind>(context, exec, args)
                              : start<__half, kGated, kKind>(context, exec, args);
}

}  // namespace tutti::skinny
