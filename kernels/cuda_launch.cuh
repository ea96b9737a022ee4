// How kernels are launched: checked, and allowed to start while the kernel before still runs.
#pragma once

#include <utility>

#include "kernels/cuda_context.cuh"

namespace tutti {

// Programmatic dependent launch (CUDA C++ Programming Guide, "Programmatic Dependent Launch and
// Synchronization"). Every kernel of kernels/ calls release_dependents() as early as it likes and
// wait_for_predecessor() in every thread block, before it reads anything that an earlier kernel
// wrote and before it writes anything at all. Weights are constant while steps run: they may be
// read before. Since every kernel waits, work of all earlier kernels is visible after the wait.
// One exception: where every block of the predecessor waits before it releases or ends, all kernels
// before it are complete when this one starts, and what they wrote may be read before this one's
// wait, past the first-level cache (expert_gemm_few.cuh).
__device__ inline void wait_for_predecessor() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

__device__ inline void release_dependents() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

// Enqueues kernel<<<grid, block, shared_bytes, exec.stream>>>(args…). `name` is for messages. A
// kernel that wants more than 48 KiB of shared memory has been told so by allow_shared_memory.
template <typename... Params, typename... Args>
void launch(const CudaContext& context, const Exec& exec, const char* name,
            void (*kernel)(Params...), dim3 grid, dim3 block, std::size_t shared_bytes,
            Args&&... args) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) {
    return;
  }
  cudaLaunchAttribute overlap = {};
  overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  overlap.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared_bytes;
  config.stream = static_cast<cudaStream_t>(exec.stream);
  config.attrs = &overlap;
  config.numAttrs = context.capability >= 90 && context.gemm_tuning.dependent_launch ? 1 : 0;
  check_cuda(cudaLaunchKernelEx(&config, kernel, static_cast<Params>(std::forward<Args>(args))...),
             name);
}

// The architecture whose code runs: an earlier one than the GPU's where the driver translates what
// was compiled for that. Such code knows nothing of dependent launch.
template <typename... Params>
int compiled_capability(void (*kernel)(Params...)) {
  cudaFuncAttributes attributes{};
  TUTTI_CUDA(cudaFuncGetAttributes(&attributes, kernel));
  return attributes.ptxVersion;
}

template <typename... Params>
void allow_shared_memory(void (*kernel)(Params...), std::size_t bytes) {
  TUTTI_CUDA(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                  static_cast<int>(bytes)));
  // All of a multiprocessor's memory as shared memory, so that the next kernel's blocks fit beside
  // this one's: the split cannot change while blocks are there.
  TUTTI_CUDA(cudaFuncSetAttribute(kernel, cudaFuncAttributePreferredSharedMemoryCarveout,
                                  cudaSharedmemCarveoutMaxShared));
}

}  // namespace tutti
