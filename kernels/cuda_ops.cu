// CudaOps: the device's half of each operation, by name.
#include "kernels/cuda_context.cuh"
#include "kernels/cuda_launch.cuh"
#include "kernels/cuda_ops.hpp"
#include "kernels/gemm_library.hpp"

namespace tutti {
namespace {

struct CudaFree {
  void operator()(void* memory) const noexcept { cudaFree(memory); }
};
template <typename T>
using CudaBuffer = std::unique_ptr<T, CudaFree>;

template <typename T>
CudaBuffer<T> allocate(std::size_t count) {
  void* memory = nullptr;
  TUTTI_CUDA(cudaMalloc(&memory, count * sizeof(T)));
  return CudaBuffer<T>(static_cast<T*>(memory));
}

__global__ void nothing_kernel() {}

CudaContext facts_of_current_device() {
  CudaContext context;
  TUTTI_CUDA(cudaGetDevice(&context.device));
  cudaDeviceProp properties{};
  TUTTI_CUDA(cudaGetDeviceProperties(&properties, context.device));
  context.multiprocessors = properties.multiProcessorCount;
  context.capability = compiled_capability(nothing_kernel);
  context.shared_bytes = properties.sharedMemPerBlockOptin;
  return context;
}

class CudaOps final : public DeviceOps {
 public:
  CudaOps()
      : context_(facts_of_current_device()),
        workspace_(allocate<std::byte>(CudaContext::kWorkspaceBytes)),
        counters_(allocate<std::int32_t>(CudaContext::kCounters)),
        gemm_library_(make_gemm_library()) {
    TUTTI_CUDA(cudaMemset(counters_.get(), 0, CudaContext::kCounters * sizeof(std::int32_t)));
    TUTTI_CUDA(cudaDeviceSynchronize());
    context_.workspace = workspace_.get();
    context_.workspace_bytes = CudaContext::kWorkspaceBytes;
    context_.counters = counters_.get();
    context_.gemm_library = gemm_library_.get();
  }

  void embedding(const Exec& exec, const EmbeddingArgs& args) override {
    embedding_cuda(context_, exec, args);
  }
  void rmsnorm(const Exec& exec, const RmsnormArgs& args) override {
    rmsnorm_cuda(context_, exec, args);
  }
  void add_rmsnorm(const Exec& exec, const AddRmsnormArgs& args) override {
    add_rmsnorm_cuda(context_, exec, args);
  }
  void layernorm(const Exec& exec, const LayernormArgs& args) override {
    layernorm_cuda(context_, exec, args);
  }
  void add_layernorm(const Exec& exec, const AddLayernormArgs& args) override {
    add_layernorm_cuda(context_, exec, args);
  }
  void residual_add(const Exec& exec, const ResidualAddArgs& args) override {
    residual_add_cuda(context_, exec, args);
  }
  void add_normed(const Exec& exec, const AddNormedArgs& args) override {
    add_normed_cuda(context_, exec, args);
  }
  void soft_cap(const Exec& exec, const SoftCapArgs& args) override {
    soft_cap_cuda(context_, exec, args);
  }
  void rope_append(const Exec& exec, const RopeAppendArgs& args) override {
    rope_append_cuda(context_, exec, args);
  }
  void qk_squares(const Exec& exec, const QkSquaresArgs& args) override {
    qk_squares_cuda(context_, exec, args);
  }
  void attention(const Exec& exec, const AttentionArgs& args) override {
    attention_cuda(context_, exec, args);
  }
  void activation(const Exec& exec, const ActivationArgs& args) override {
    activation_cuda(context_, exec, args);
  }
  void gated_activation(const Exec& exec, const GatedActivationArgs& args) override {
    gated_activation_cuda(context_, exec, args);
  }
  void gemm(const Exec& exec, const GemmArgs& args) override { gemm_cuda(context_, exec, args); }
  void gated_gemm(const Exec& exec, const GatedGemmArgs& args) override {
    gated_gemm_cuda(context_, exec, args);
  }
  void moe_route(const Exec& exec, const MoeRouteArgs& args) override {
    moe_route_cuda(context_, exec, args);
  }
  void moe_group(const Exec& exec, const MoeGroupArgs& args) override {
    moe_group_cuda(context_, exec, args);
  }
  void moe_route_and_group(const Exec& exec, const MoeRouteArgs& route,
                           const MoeGroupArgs& group) override {
    moe_route_and_group_cuda(context_, exec, route, group);
  }
  void expert_gemm(const Exec& exec, const ExpertGemmArgs& args) override {
    expert_gemm_cuda(context_, exec, args);
  }
  void moe_combine(const Exec& exec, const MoeCombineArgs& args) override {
    moe_combine_cuda(context_, exec, args);
  }
  void sample_rows(const Exec& exec, const SampleRowsArgs& args) override {
    sample_rows_cuda(context_, exec, args);
  }
  void sample_slots(const Exec& exec, const SampleSlotsArgs& args) override {
    sample_slots_cuda(context_, exec, args);
  }
  void transpose(const Exec& exec, const TransposeArgs& args) override {
    transpose_cuda(context_, exec, args);
  }
  void stream_read(const Exec& exec, const StreamReadArgs& args) override {
    stream_read_cuda(context_, exec, args);
  }
  void fill_random(const Exec& exec, const FillRandomArgs& args) override {
    fill_random_cuda(context_, exec, args);
  }
  void tune(const GemmTuning& tuning) override { context_.gemm_tuning = tuning; }
  std::size_t workspace_bytes() const override {
    return CudaContext::kWorkspaceBytes + CudaContext::kCounters * sizeof(std::int32_t) +
           gemm_library_->workspace_bytes();
  }

 private:
  CudaContext context_;
  CudaBuffer<std::byte> workspace_;
  CudaBuffer<std::int32_t> counters_;
  std::unique_ptr<GemmLibrary> gemm_library_;
};

}  // namespace

void check_cuda(cudaError_t result, const char* call) {
  if (result == cudaSuccess) {
    return;
  }
  const std::string text =
      fmt::format("{}: {} ({})", call, cudaGetErrorString(result), cudaGetErrorName(result));
  if (result == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // it does not stick
    throw CapacityError(text);
  }
  throw DeviceError(text);
}

std::unique_ptr<DeviceOps> make_cuda_ops() {
  return std::make_unique<CudaOps>();
}

}  // namespace tutti
