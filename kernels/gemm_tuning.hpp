// How a device's products for few tokens overlap with the kernels around them. The defaults are
// what models run with; benchmarks vary them (tests/bench/gemm_cuda_bench.cpp).
#pragma once

#include <cstdint>

namespace tutti {

struct GemmTuning {
  // Kernels may start while the one before still runs (all kernels, not only products).
  bool dependent_launch = true;
  // A product lets the next kernel start once this many loads of each warp are still to be issued:
  // at once, since waiting for it lost 6 % of a 7B's chain (docs/benchmarks_kernels.md).
  int release_ahead = 1 << 20;
  // Bytes of weights that each block has fetched into the second-level cache, beyond what its own
  // memory holds, before the kernel that it depends on is done.
  std::int64_t prefetch_bytes = 32 << 10;
  // Every product by the vendor's library: to compare with.
  bool library_only = false;
};

}  // namespace tutti
