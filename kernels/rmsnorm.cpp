#include "kernels/rmsnorm.hpp"

#include <cmath>

#include "kernels/check.hpp"
#include "kernels/device_ops.hpp"
#include "kernels/simd.hpp"

namespace tutti {
namespace {

struct Row {
  const float* x;
  float* residual;  // null: rmsnorm of x itself
  const float* weight;
  float eps;
  float* y;
  std::int64_t dim;
};

struct RmsnormRow {
  template <int W>
  static TUTTI_INLINE void run(Row row) {
    using F = simd::F32<W>;
    if (row.residual != nullptr) {
      add<W>(row);
    }
    const float* source = row.residual != nullptr ? row.residual : row.x;
    F sum[4] = {};
    F v;
    std::int64_t i = 0;
    for (; i + 4 * W <= row.dim; i += 4 * W) {
      for (int u = 0; u < 4; ++u) {
        simd::load(v, source + i + u * W);
        sum[u] += v * v;
      }
    }
    for (; i + W <= row.dim; i += W) {
      simd::load(v, source + i);
      sum[0] += v * v;
    }
    if (i < row.dim) {
      simd::load_wide_tail<W>(v, source + i, row.dim - i);
      sum[0] += v * v;
    }
    const F total = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    const float mean = simd::sum_lanes<W>(total) / static_cast<float>(row.dim);
    scale<W>(row, source, 1.0f / std::sqrt(mean + row.eps));
  }

 private:
  template <int W>
  static TUTTI_INLINE void add(const Row& row) {
    simd::F32<W> a;
    simd::F32<W> b;
    std::int64_t i = 0;
    for (; i + W <= row.dim; i += W) {
      simd::load(a, row.residual + i);
      simd::load(b, row.x + i);
      simd::store(row.residual + i, a + b);
    }
    for (; i < row.dim; ++i) {
      row.residual[i] += row.x[i];
    }
  }

  template <int W>
  static TUTTI_INLINE void scale(const Row& row, const float* source, float factor) {
    simd::F32<W> v;
    simd::F32<W> w;
    std::int64_t i = 0;
    for (; i + W <= row.dim; i += W) {
      simd::load(v, source + i);
      simd::load(w, row.weight + i);
      simd::store(row.y + i, v * factor * w);
    }
    for (; i < row.dim; ++i) {
      row.y[i] = source[i] * factor * row.weight[i];
    }
  }
};

void rmsnorm_host(const Exec& exec, const TensorView& x, const TensorView* residual,
                  const TensorView& weight, float eps, const TensorView& y) {
  const std::int64_t tokens = x.rows();
  const std::int64_t dim = x.row_elements();
  [[maybe_unused]] const int threads = threads_for(exec, tokens * dim);
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
  for (std::int64_t t = 0; t < tokens; ++t) {
    multiversion<RmsnormRow>(Row{.x = x.row<float>(t),
                                 .residual = residual ? residual->row<float>(t) : nullptr,
                                 .weight = static_cast<const float*>(weight.data),
                                 .eps = eps,
                                 .y = y.row<float>(t),
                                 .dim = dim});
  }
}

}  // namespace

void rmsnorm(const Exec& exec, const RmsnormArgs& args) {
  check_view(exec, "rmsnorm", "x", args.x, DType::f32, {kAnyExtent, kAnyExtent});
  const std::int64_t dim = args.x.shape[1];
  check_view(exec, "rmsnorm", "weight", args.weight, DType::f32, {dim});
  check_activation(exec, "rmsnorm", "y", args.y, {args.x.rows(), dim});
  if (on_device(exec, "rmsnorm")) {
    return exec.ops->rmsnorm(exec, args);
  }
  rmsnorm_host(exec, args.x, nullptr, args.weight, args.eps, args.y);
}

void add_rmsnorm(const Exec& exec, const AddRmsnormArgs& args) {
  check_activation(exec, "add_rmsnorm", "x", args.x, {kAnyExtent, kAnyExtent});
  const std::int64_t dim = args.x.shape[1];
  check_view(exec, "add_rmsnorm", "residual", args.residual, DType::f32, {args.x.rows(), dim});
  check_view(exec, "add_rmsnorm", "weight", args.weight, DType::f32, {dim});
  check_view(exec, "add_rmsnorm", "y", args.y, args.x.dtype, {args.x.rows(), dim});
  if (on_device(exec, "add_rmsnorm")) {
    return exec.ops->add_rmsnorm(exec, args);
  }
  rmsnorm_host(exec, args.x, &args.residual, args.weight, args.eps, args.y);
}

}  // namespace tutti
