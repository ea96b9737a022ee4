#include "kernels/activation.hpp"

#include "kernels/activation_simd.hpp"
#include "kernels/check.hpp"
#include "kernels/device_ops.hpp"

namespace tutti {
namespace {

template <Activation kKind>
struct ActivateRow {
  template <int W>
  static TUTTI_INLINE void run(float* x, std::int64_t columns) {
    simd::F32<W> v;
    std::int64_t c = 0;
    for (; c + W <= columns; c += W) {
      simd::load(v, x + c);
      simd::activate<W, kKind>(v);
      simd::store(x + c, v);
    }
    if (c < columns) {
      simd::load_wide_tail<W>(v, x + c, columns - c);
      simd::activate<W, kKind>(v);
      float tail[W];
      simd::store(tail, v);
      std::memcpy(x + c, tail, static_cast<std::size_t>(columns - c) * sizeof(float));
    }
  }
};

}  // namespace

void activation(const Exec& exec, const ActivationArgs& args) {
  check_activation(exec, "activation", "x", args.x, {kAnyExtent, kAnyExtent});
  if (on_device(exec, "activation")) {
    return exec.ops->activation(exec, args);
  }
  const std::int64_t tokens = args.x.rows();
  const std::int64_t columns = args.x.shape[1];
  [[maybe_unused]] const int threads = threads_for(exec, tokens * columns * 2);
  with_activation(args.kind, [&](auto kind) {
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (std::int64_t t = 0; t < tokens; ++t) {
      multiversion<ActivateRow<decltype(kind)::value>>(args.x.row<float>(t), columns);
    }
  });
}

}  // namespace tutti
