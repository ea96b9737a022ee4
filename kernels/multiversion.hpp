// One portable source per operation, compiled for several instruction sets, chosen at run time.
//
// A kernel is a struct with `template <int W> static TUTTI_INLINE void run(args…)`, W the f32 lanes
// of a vector register. `multiversion<Kernel>(args…)` runs the widest clone that this processor
// can. Plain target attributes and not target_clones: no ifunc (which sanitizers and some linkers
// do not bear), the same under GCC and clang, and the clones may be templates.
//
// Under sanitizers only the baseline is compiled: three instrumented clones take minutes each.
#pragma once

#include <cstdint>

#define TUTTI_INLINE inline __attribute__((always_inline))

#if defined(__x86_64__) && defined(__GNUC__) && !defined(TUTTI_SANITIZED)
#define TUTTI_HAVE_CLONES 1
#define TUTTI_TARGET_AVX2 __attribute__((target("avx2,fma")))
#define TUTTI_TARGET_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma")))
#else
#define TUTTI_HAVE_CLONES 0
#define TUTTI_TARGET_AVX2
#define TUTTI_TARGET_AVX512
#endif

namespace tutti {

enum class Isa : std::uint8_t { baseline, avx2, avx512 };

// What this processor and the operating system can run.
inline Isa detect_isa() {
#if TUTTI_HAVE_CLONES
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) {
    return Isa::avx512;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    return Isa::avx2;
  }
#endif
  return Isa::baseline;
}

template <typename Kernel, typename... Args>
TUTTI_TARGET_AVX512 void run_avx512(Args... args) {
  Kernel::template run<16>(args...);
}

template <typename Kernel, typename... Args>
TUTTI_TARGET_AVX2 void run_avx2(Args... args) {
  Kernel::template run<8>(args...);
}

template <typename Kernel, typename... Args>
void run_baseline(Args... args) {
  Kernel::template run<4>(args...);
}

// Arguments are passed by value: pointers, numbers and small structs of them.
template <typename Kernel, typename... Args>
void multiversion_at(Isa isa, Args... args) {
#if TUTTI_HAVE_CLONES
  if (isa == Isa::avx512) {
    return run_avx512<Kernel>(args...);
  }
  if (isa == Isa::avx2) {
    return run_avx2<Kernel>(args...);
  }
#endif
  static_cast<void>(isa);
  run_baseline<Kernel>(args...);
}

template <typename Kernel, typename... Args>
void multiversion(Args... args) {
  multiversion_at<Kernel>(detect_isa(), args...);
}

}  // namespace tutti
