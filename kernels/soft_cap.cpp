#include "kernels/soft_cap.hpp"

#include "kernels/check.hpp"
#include "kernels/device_ops.hpp"
#include "kernels/simd.hpp"

namespace tutti {
namespace {

struct CapRow {
  template <int W>
  static TUTTI_INLINE void run(float* x, std::int64_t columns, float scale, float cap) {
    simd::F32<W> v;
    std::int64_t c = 0;
    for (; c + W <= columns; c += W) {
      simd::load(v, x + c);
      change<W>(v, scale, cap);
      simd::store(x + c, v);
    }
    if (c < columns) {
      simd::load_wide_tail<W>(v, x + c, columns - c);
      change<W>(v, scale, cap);
      float tail[W];
      simd::store(tail, v);
      std::memcpy(x + c, tail, static_cast<std::size_t>(columns - c) * sizeof(float));
    }
  }

 private:
  template <int W>
  static TUTTI_INLINE void change(simd::F32<W>& v, float scale, float cap) {
    v *= scale;
    if (cap > 0) {
      v /= cap;
      simd::tanh<W>(v);
      v *= cap;
    }
  }
};

}  // namespace

void soft_cap(const Exec& exec, const SoftCapArgs& args) {
  check_activation(exec, "soft_cap", "x", args.x, {kAnyExtent, kAnyExtent});
  check_that(args.cap >= 0, "soft_cap", "cap is {}, wanted at least 0 (0: none)", args.cap);
  if (on_device(exec, "soft_cap")) {
    return exec.ops->soft_cap(exec, args);
  }
  const std::int64_t rows = args.x.rows();
  const std::int64_t columns = args.x.shape[1];
  // Pieces of rows: logits are few long ones.
  constexpr std::int64_t kPiece = 4096;
  const std::int64_t pieces = (columns + kPiece - 1) / kPiece;
  [[maybe_unused]] const int threads = threads_for(exec, rows * columns * 4);
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
  for (std::int64_t i = 0; i < rows * pieces; ++i) {
    const std::int64_t begin = i % pieces * kPiece;
    multiversion<CapRow>(args.x.row<float>(i / pieces) + begin,
                         columns - begin < kPiece ? columns - begin : kPiece, args.scale, args.cap);
  }
}

}  // namespace tutti
