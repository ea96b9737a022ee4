#include "kernels/layernorm.hpp"

#include <cmath>

#include "kernels/check.hpp"
#include "kernels/device_ops.hpp"
#include "kernels/simd.hpp"

namespace tutti {
namespace {

struct Row {
  const float* x;
  float* residual;  // null: the norm of x itself
  const float* weight;
  const float* bias;  // or null
  float eps;
  float* y;
  std::int64_t dim;
};

struct LayernormRow {
  template <int W>
  static TUTTI_INLINE void run(Row row) {
    const float* source = row.x;
    if (row.residual != nullptr) {
      for (std::int64_t i = 0; i < row.dim; ++i) {
        row.residual[i] += row.x[i];
      }
      source = row.residual;
    }
    const float count = static_cast<float>(row.dim);
    const float mean = sum<W, false>(source, row.dim, 0.0f) / count;
    const float variance = sum<W, true>(source, row.dim, mean) / count;
    scale<W>(row, source, mean, 1.0f / std::sqrt(variance + row.eps));
  }

 private:
  // Of x, or of (x - mean)^2.
  template <int W, bool kSquares>
  static TUTTI_INLINE float sum(const float* x, std::int64_t dim, float mean) {
    simd::F32<W> total = {};
    simd::F32<W> v;
    std::int64_t i = 0;
    for (; i + W <= dim; i += W) {
      simd::load(v, x + i);
      v -= mean;
      total += kSquares ? v * v : v;
    }
    float rest = 0;
    for (; i < dim; ++i) {
      const float d = x[i] - mean;
      rest += kSquares ? d * d : d;
    }
    return simd::sum_lanes<W>(total) + rest;
  }

  template <int W>
  static TUTTI_INLINE void scale(const Row& row, const float* source, float mean, float factor) {
    simd::F32<W> v;
    simd::F32<W> w;
    simd::F32<W> b = {};
    std::int64_t i = 0;
    for (; i + W <= row.dim; i += W) {
      simd::load(v, source + i);
      simd::load(w, row.weight + i);
      if (row.bias != nullptr) {
        simd::load(b, row.bias + i);
      }
      simd::store(row.y + i, (v - mean) * factor * w + b);
    }
    for (; i < row.dim; ++i) {
      const float bias = row.bias != nullptr ? row.bias[i] : 0.0f;
      row.y[i] = (source[i] - mean) * factor * row.weight[i] + bias;
    }
  }
};

void check_norm(const Exec& exec, const char* op, const TensorView& weight, const TensorView& bias,
                std::int64_t dim) {
  check_view(exec, op, "weight", weight, DType::f32, {dim});
  if (bias.dims != 0) {
    check_view(exec, op, "bias", bias, DType::f32, {dim});
  }
}

void layernorm_host(const Exec& exec, const AddLayernormArgs& args) {
  const std::int64_t tokens = args.x.rows();
  const std::int64_t dim = args.x.shape[1];
  const bool add = args.residual.dims != 0;
  [[maybe_unused]] const int threads = threads_for(exec, tokens * dim);
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
  for (std::int64_t t = 0; t < tokens; ++t) {
    multiversion<LayernormRow>(
        Row{.x = args.x.row<float>(t),
            .residual = add ? args.residual.row<float>(t) : nullptr,
            .weight = static_cast<const float*>(args.weight.data),
            .bias = args.bias.dims != 0 ? static_cast<const float*>(args.bias.data) : nullptr,
            .eps = args.eps,
            .y = args.y.row<float>(t),
            .dim = dim});
  }
}

}  // namespace

void layernorm(const Exec& exec, const LayernormArgs& args) {
  check_view(exec, "layernorm", "x", args.x, DType::f32, {kAnyExtent, kAnyExtent});
  check_norm(exec, "layernorm", args.weight, args.bias, args.x.shape[1]);
  check_activation(exec, "layernorm", "y", args.y, {args.x.rows(), args.x.shape[1]});
  if (on_device(exec, "layernorm")) {
    return exec.ops->layernorm(exec, args);
  }
  layernorm_host(exec, {.x = args.x,
                        .residual = {},
                        .weight = args.weight,
                        .bias = args.bias,
                        .eps = args.eps,
                        .y = args.y});
}

void add_layernorm(const Exec& exec, const AddLayernormArgs& args) {
  constexpr const char* op = "add_layernorm";
  check_activation(exec, op, "x", args.x, {kAnyExtent, kAnyExtent});
  const std::int64_t dim = args.x.shape[1];
  check_view(exec, op, "residual", args.residual, DType::f32, {args.x.rows(), dim});
  check_norm(exec, op, args.weight, args.bias, dim);
  check_view(exec, op, "y", args.y, args.x.dtype, {args.x.rows(), dim});
  if (on_device(exec, op)) {
    return exec.ops->add_layernorm(exec, args);
  }
  layernorm_host(exec, args);
}

}  // namespace tutti
