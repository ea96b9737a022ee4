// What the device's operations share: facts about the GPU and the memory they keep for themselves.
#pragma once

#include <cuda_runtime.h>
#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "kernels/device_ops.hpp"
#include "kernels/error.hpp"
#include "kernels/gemm_tuning.hpp"

namespace tutti {

// Throws DeviceError (CapacityError where memory ran out) that names the call and CUDA's reason.
void check_cuda(cudaError_t result, const char* call);
#define TUTTI_CUDA(call) ::tutti::check_cuda((call), #call)

class GemmLibrary;  // kernels/gemm_library.hpp: cuBLASLt and what was tuned

// One per GPU and stream: operations that share it run one after another.
struct CudaContext {
  int device = 0;
  int multiprocessors = 0;
  int capability = 0;              // 80, 90, …: of the code, not above the GPU's
  std::size_t shared_bytes = 0;    // most dynamic shared memory of one block
  std::byte* workspace = nullptr;  // split sums; any operation may use all of it
  std::size_t workspace_bytes = 0;
  std::int32_t* counters = nullptr;  // kCounters zeros; who counts leaves zeros behind
  GemmLibrary* gemm_library = nullptr;
  GemmTuning gemm_tuning;

  static constexpr int kCounters = 16384;
  static constexpr std::size_t kWorkspaceBytes = std::size_t{64} << 20;
};

// The device's half of each operation; arguments were checked by the function of the op's header.
void embedding_cuda(CudaContext& context, const Exec& exec, const EmbeddingArgs& args);
void rmsnorm_cuda(CudaContext& context, const Exec& exec, const RmsnormArgs& args);
void add_rmsnorm_cuda(CudaContext& context, const Exec& exec, const AddRmsnormArgs& args);
void layernorm_cuda(CudaContext& context, const Exec& exec, const LayernormArgs& args);
void add_layernorm_cuda(CudaContext& context, const Exec& exec, const AddLayernormArgs& args);
void residual_add_cuda(CudaContext& context, const Exec& exec, const ResidualAddArgs& args);
void add_normed_cuda(CudaContext& context, const Exec& exec, const AddNormedArgs& args);
void soft_cap_cuda(CudaContext& context, const Exec& exec, const SoftCapArgs& args);
void rope_append_cuda(CudaContext& context, const Exec& exec, const RopeAppendArgs& args);
void qk_squares_cuda(CudaContext& context, const Exec& exec, const QkSquaresArgs& args);
void attention_cuda(CudaContext& context, const Exec& exec, const AttentionArgs& args);
void activation_cuda(CudaContext& context, const Exec& exec, const ActivationArgs& args);
void gated_activation_cuda(CudaContext& context, const Exec& exec, const GatedActivationArgs& args);
void gemm_cuda(CudaContext& context, const Exec& exec, const GemmArgs& args);
void gated_gemm_cuda(CudaContext& context, const Exec& exec, const GatedGemmArgs& args);
void moe_route_cuda(CudaContext& context, const Exec& exec, const MoeRouteArgs& args);
void moe_group_cuda(CudaContext& context, const Exec& exec, const MoeGroupArgs& args);
void moe_route_and_group_cuda(CudaContext& context, const Exec& exec, const MoeRouteArgs& route,
                              const MoeGroupArgs& group);
void expert_gemm_cuda(CudaContext& context, const Exec& exec, const ExpertGemmArgs& args);
void moe_combine_cuda(CudaContext& context, const Exec& exec, const MoeCombineArgs& args);
void sample_rows_cuda(CudaContext& context, const Exec& exec, const SampleRowsArgs& args);
void sample_slots_cuda(CudaContext& context, const Exec& exec, const SampleSlotsArgs& args);
void transpose_cuda(CudaContext& context, const Exec& exec, const TransposeArgs& args);
void stream_read_cuda(CudaContext& context, const Exec& exec, const StreamReadArgs& args);
void fill_random_cuda(CudaContext& context, const Exec& exec, const FillRandomArgs& args);

}  // namespace tutti
