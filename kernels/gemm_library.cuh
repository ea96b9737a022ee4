// The vendor's matrix product (cuBLASLt) with the algorithm that was fastest for each shape.
#pragma once

#include <cstddef>
#include <memory>

#include "kernels/cuda_context.cuh"

namespace tutti {

class GemmLibrary {
 public:
  virtual ~GemmLibrary() = default;
  // gemm's contract for any number of tokens, 16-bit types on tensor cores, f32 in full f32.
  virtual void multiply(const CudaContext& context, const Exec& exec, const GemmArgs& args) = 0;
  virtual std::size_t workspace_bytes() const = 0;
};

std::unique_ptr<GemmLibrary> make_gemm_library();

}  // namespace tutti
