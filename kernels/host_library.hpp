// The library behind the host's matrix product, for versions and for benchmarks.
#pragma once

#include <cstdint>
#include <string>

namespace tutti {

// "OpenBLAS 0.3.21 SkylakeX": name, version and the kernels it chose for this CPU.
std::string host_gemm_library();

// Seconds that the library alone takes for y [tokens, out] = x [tokens, in] * wT, w [out, in], all
// f32, with its own threads: the median of `repeats` after one to warm up. What `gemm` is measured
// against. Not while other threads compute.
double host_library_gemm_seconds(std::int64_t tokens, std::int64_t in, std::int64_t out,
                                 int threads, int repeats);

}  // namespace tutti
