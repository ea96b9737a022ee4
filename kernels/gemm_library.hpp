// The vendor's matrix product (cuBLASLt) with the algorithm that was fastest for each shape.
#pragma once

#include <cstddef>
#include <memory>

#include "kernels/gemm.hpp"

namespace tutti {

class GemmLibrary {
 public:
  virtual ~GemmLibrary() = default;
  // y = x weight^T without the bias, for any number of tokens; 16-bit types on tensor cores, f32 in
  // full f32. False where the library has no algorithm for these types, strides and addresses.
  //
  // The first call of its kind (types, shape, strides, number of tokens to within a quarter of its
  // power of two) outside a capture times the candidates on the arguments themselves, which waits
  // for the stream.
  virtual bool multiply(const Exec& exec, const GemmArgs& args) = 0;
  virtual std::size_t workspace_bytes() const = 0;
};

std::unique_ptr<GemmLibrary> make_gemm_library();

}  // namespace tutti
