// The element types on a device: what their bits are there, and loads of 16 bytes at once.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

#include "kernels/dtype.hpp"

namespace tutti {

template <typename T>
struct CudaType;  // CudaType<bf16>::type is what tensor cores and intrinsics take
template <>
struct CudaType<float> {
  using type = float;
};
template <>
struct CudaType<f16> {
  using type = __half;
};
template <>
struct CudaType<bf16> {
  using type = __nv_bfloat16;
};

__device__ inline float widen(float x) {
  return x;
}
__device__ inline float widen(__half x) {
  return __half2float(x);
}
__device__ inline float widen(__nv_bfloat16 x) {
  return __bfloat162float(x);
}

// Rounds to nearest, ties to even.
template <typename T>
__device__ inline T narrow(float x);
template <>
__device__ inline float narrow<float>(float x) {
  return x;
}
template <>
__device__ inline __half narrow<__half>(float x) {
  return __float2half_rn(x);
}
template <>
__device__ inline __nv_bfloat16 narrow<__nv_bfloat16>(float x) {
  return __float2bfloat16_rn(x);
}

// 16 bytes that are read once: past the first-level cache.
__device__ inline uint4 load_streaming(const void* from) {
  uint4 v;
  asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(from));
  return v;
}

// Asks the second-level cache for memory, a hint; bytes and address are multiples of 16.
__device__ inline void prefetch_to_l2([[maybe_unused]] const void* from,
                                      [[maybe_unused]] std::uint32_t bytes) {
#if __CUDA_ARCH__ >= 900
  asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"(from), "r"(bytes) : "memory");
#endif
}

// Calls use(T{}) with float, __half or __nv_bfloat16.
template <typename Use>
void with_cuda_type(DType dtype, const Use& use) {
  switch (dtype) {
    case DType::f16:
      return use(__half{});
    case DType::bf16:
      return use(__nv_bfloat16{});
    default:
      return use(float{});
  }
}

}  // namespace tutti
