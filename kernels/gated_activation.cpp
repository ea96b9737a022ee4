#include "kernels/gated_activation.hpp"

#include "kernels/activation_simd.hpp"
#include "kernels/check.hpp"
#include "kernels/device_ops.hpp"

namespace tutti {
namespace {

template <Activation kKind>
struct GatedRow {
  template <int W>
  static TUTTI_INLINE void run(const float* gate, const float* up, float* y, std::int64_t columns) {
    using F = simd::F32<W>;
    F g;
    F u;
    std::int64_t c = 0;
    for (; c + W <= columns; c += W) {
      simd::load(g, gate + c);
      simd::load(u, up + c);
      simd::store(y + c, product<W>(g, u));
    }
    if (c < columns) {
      simd::load_wide_tail<W>(g, gate + c, columns - c);
      simd::load_wide_tail<W>(u, up + c, columns - c);
      float tail[W];
      simd::store(tail, product<W>(g, u));
      std::memcpy(y + c, tail, static_cast<std::size_t>(columns - c) * sizeof(float));
    }
  }

 private:
  template <int W>
  static TUTTI_INLINE simd::F32<W>& product(simd::F32<W>& g, const simd::F32<W>& u) {
    simd::activate<W, kKind>(g);
    g *= u;
    return g;
  }
};

}  // namespace

void gated_activation(const Exec& exec, const GatedActivationArgs& args) {
  check_activation(exec, "gated_activation", "y", args.y, {kAnyExtent, kAnyExtent});
  const std::int64_t tokens = args.y.rows();
  const std::int64_t columns = args.y.shape[1];
  check_view(exec, "gated_activation", "gate_up", args.gate_up, args.y.dtype,
             {tokens, 2 * columns});
  if (on_device(exec, "gated_activation")) {
    return exec.ops->gated_activation(exec, args);
  }
  [[maybe_unused]] const int threads = threads_for(exec, tokens * columns * 2);
  with_activation(args.kind, [&](auto kind) {
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (std::int64_t t = 0; t < tokens; ++t) {
      const float* gate = args.gate_up.row<float>(t);
      multiversion<GatedRow<decltype(kind)::value>>(gate, gate + columns, args.y.row<float>(t),
                                                    columns);
    }
  });
}

}  // namespace tutti
