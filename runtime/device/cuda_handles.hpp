// Owners of CUDA's handles. Move-only; destructors pass over errors, which the next call repeats.
#pragma once

#include <cuda_runtime_api.h>

#include <memory>
#include <type_traits>

namespace tutti {

template <auto destroy>
struct CudaDestroy {
  template <typename T>
  void operator()(T* handle) const noexcept {
    static_cast<void>(destroy(handle));
  }
};

template <typename Handle, auto destroy>
using CudaOwner = std::unique_ptr<std::remove_pointer_t<Handle>, CudaDestroy<destroy>>;

using CudaStream = CudaOwner<cudaStream_t, cudaStreamDestroy>;
using CudaEvent = CudaOwner<cudaEvent_t, cudaEventDestroy>;
using CudaGraph = CudaOwner<cudaGraph_t, cudaGraphDestroy>;
using CudaGraphExec = CudaOwner<cudaGraphExec_t, cudaGraphExecDestroy>;

}  // namespace tutti
