#include "kernels/qk_squares.hpp"

#include "kernels/check.hpp"
#include "kernels/device_ops.hpp"
#include "kernels/simd.hpp"

namespace tutti {
namespace {

// *y = sum of x[i]^2
struct SumSquares {
  template <int W>
  static TUTTI_INLINE void run(const float* x, std::int64_t count, float* y) {
    simd::F32<W> sum = {};
    simd::F32<W> v;
    std::int64_t i = 0;
    for (; i + W <= count; i += W) {
      simd::load(v, x + i);
      sum += v * v;
    }
    if (i < count) {
      simd::load_wide_tail<W>(v, x + i, count - i);
      sum += v * v;
    }
    *y = simd::sum_lanes<W>(sum);
  }
};

}  // namespace

void qk_squares(const Exec& exec, const QkSquaresArgs& args) {
  constexpr const char* op = "qk_squares";
  check_that(
      args.q_heads >= 0 && args.kv_heads >= 0 && args.head_dim > 0 && args.k_heads.begin >= 0 &&
          args.k_heads.size() >= 0 && args.k_heads.end <= args.kv_heads,
      op, "q_heads {}, kv_heads {}, head_dim {}, k_heads {}..{}; wanted a range of the heads",
      args.q_heads, args.kv_heads, args.head_dim, args.k_heads.begin, args.k_heads.end);
  const std::int64_t width = std::int64_t{args.q_heads + 2 * args.kv_heads} * args.head_dim;
  check_activation(exec, op, "qkv", args.qkv, {kAnyExtent, width});
  check_view(exec, op, "squares", args.squares, DType::f32, {args.qkv.rows(), 2});
  if (on_device(exec, op)) {
    return exec.ops->qk_squares(exec, args);
  }
  const std::int64_t tokens = args.qkv.rows();
  [[maybe_unused]] const int threads = threads_for(exec, tokens * width);
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
  for (std::int64_t t = 0; t < tokens; ++t) {
    const float* q = args.qkv.row<float>(t);
    const float* k = q + (args.q_heads + args.k_heads.begin) * args.head_dim;
    float* squares = args.squares.row<float>(t);
    multiversion<SumSquares>(q, std::int64_t{args.q_heads} * args.head_dim, squares);
    multiversion<SumSquares>(k, args.k_heads.size() * args.head_dim, squares + 1);
  }
}

}  // namespace tutti
