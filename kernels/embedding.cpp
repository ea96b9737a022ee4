#include "kernels/embedding.hpp"

#include <cstring>

#include "kernels/check.hpp"
#include "kernels/device_ops.hpp"
#include "kernels/simd.hpp"

namespace tutti {
namespace {

// to[i] (+)= scale * from[i]
template <typename T>
struct WidenScaled {
  template <int W>
  static TUTTI_INLINE void run(const T* from, float* to, std::int64_t n, float scale, bool add) {
    for (std::int64_t i = 0; i < n; ++i) {
      const float v = to_float(from[i]) * scale;
      to[i] = add ? to[i] + v : v;
    }
  }
};

// to[i] = from[i], widened.
template <typename T>
struct Widen {
  template <int W>
  static TUTTI_INLINE void run(const T* from, float* to, std::int64_t n) {
    std::int64_t i = 0;
    for (; i + W <= n; i += W) {
      simd::F32<W> v;
      simd::load_wide<W>(v, from + i);
      simd::store(to + i, v);
    }
    for (; i < n; ++i) {
      to[i] = to_float(from[i]);
    }
  }
};

template <typename T>
void embedding_host(const Exec& exec, const EmbeddingArgs& args) {
  const std::int64_t tokens = args.ids.rows();
  const std::int64_t hidden = args.table.in();
  const auto* ids = static_cast<const std::int32_t*>(args.ids.data);
  [[maybe_unused]] const int threads = threads_for(exec, tokens * hidden);
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
  for (std::int64_t t = 0; t < tokens; ++t) {
    const std::int32_t slot = args.source.dims == 0 ? -1 : *args.source.row<std::int32_t>(t);
    const std::int32_t id =
        slot < 0 ? ids[t * args.ids.row_stride] : *args.last.row<std::int32_t>(slot);
    const std::int64_t row = id - args.first_row;
    float* y = args.y.row<float>(t);
    const bool owned = row >= 0 && row < args.table.out();
    if (owned && (args.add || args.scale != 1)) {
      multiversion<WidenScaled<T>>(static_cast<const T*>(args.table.matrix.template row<T>(row)), y,
                                   hidden, args.scale, args.add);
    } else if (owned) {
      multiversion<Widen<T>>(static_cast<const T*>(args.table.matrix.template row<T>(row)), y,
                             hidden);
    } else if (!args.add) {
      std::memset(y, 0, static_cast<std::size_t>(hidden) * sizeof(float));
    }
  }
}

}  // namespace

void embedding(const Exec& exec, const EmbeddingArgs& args) {
  check_view(exec, "embedding", "ids", args.ids, DType::i32, {kAnyExtent});
  check_weight(exec, "embedding", args.table.matrix, kAnyExtent, kAnyExtent);
  check_activation(exec, "embedding", "y", args.y, {args.ids.rows(), args.table.in()});
  if (args.source.dims != 0) {
    check_view(exec, "embedding", "source", args.source, DType::i32, {args.ids.rows()});
    check_view(exec, "embedding", "last", args.last, DType::i32, {kAnyExtent});
  }
  if (on_device(exec, "embedding")) {
    check_that(args.y.dtype == DType::f32 || args.y.dtype == args.table.matrix.dtype, "embedding",
               "y is {}, wanted f32 or the table's {}", name_of(args.y.dtype),
               name_of(args.table.matrix.dtype));
    return exec.ops->embedding(exec, args);
  }
  switch (args.table.matrix.dtype) {
    case DType::f16:
      return embedding_host<f16>(exec, args);
    case DType::bf16:
      return embedding_host<bf16>(exec, args);
    default:
      return embedding_host<float>(exec, args);
  }
}

}  // namespace tutti
