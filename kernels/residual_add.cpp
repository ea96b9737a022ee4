#include "kernels/residual_add.hpp"

#include <cmath>

#include "kernels/check.hpp"
#include "kernels/device_ops.hpp"
#include "kernels/simd.hpp"

namespace tutti {
namespace {

struct Row {
  const float* x;
  float scale;
  const float* post_weight;  // null: x is not normalised
  float* residual;
  const float* weight;  // null: y is the residual
  float eps;
  float* y;  // or null
  std::int64_t dim;
};

struct AddRow {
  template <int W>
  static TUTTI_INLINE void run(Row row) {
    const float factor =
        row.post_weight != nullptr ? factor_of<W>(row.x, row.dim, row.eps) : row.scale;
    for (std::int64_t i = 0; i < row.dim; ++i) {
      const float x = row.x[i] * factor;
      row.residual[i] += row.post_weight != nullptr ? x * row.post_weight[i] : x;
    }
    if (row.y == nullptr) {
      return;
    }
    if (row.weight == nullptr) {
      std::memcpy(row.y, row.residual, static_cast<std::size_t>(row.dim) * sizeof(float));
      return;
    }
    const float next = factor_of<W>(row.residual, row.dim, row.eps);
    for (std::int64_t i = 0; i < row.dim; ++i) {
      row.y[i] = row.residual[i] * next * row.weight[i];
    }
  }

 private:
  template <int W>
  static TUTTI_INLINE float factor_of(const float* x, std::int64_t dim, float eps) {
    simd::F32<W> sum = {};
    simd::F32<W> v;
    std::int64_t i = 0;
    for (; i + W <= dim; i += W) {
      simd::load(v, x + i);
      sum += v * v;
    }
    if (i < dim) {
      simd::load_wide_tail<W>(v, x + i, dim - i);
      sum += v * v;
    }
    return 1.0f / std::sqrt(simd::sum_lanes<W>(sum) / static_cast<float>(dim) + eps);
  }
};

const float* floats(const TensorView& view) {
  return view.dims == 0 ? nullptr : static_cast<const float*>(view.data);
}

void add_rows(const Exec& exec, const AddNormedArgs& args, float scale) {
  const std::int64_t tokens = args.x.rows();
  const std::int64_t dim = args.x.shape[1];
  [[maybe_unused]] const int threads = threads_for(exec, tokens * dim);
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
  for (std::int64_t t = 0; t < tokens; ++t) {
    multiversion<AddRow>(Row{.x = args.x.row<float>(t),
                             .scale = scale,
                             .post_weight = floats(args.post_weight),
                             .residual = args.residual.row<float>(t),
                             .weight = floats(args.weight),
                             .eps = args.eps,
                             .y = args.y.dims == 0 ? nullptr : args.y.row<float>(t),
                             .dim = dim});
  }
}

}  // namespace

void residual_add(const Exec& exec, const ResidualAddArgs& args) {
  constexpr const char* op = "residual_add";
  check_activation(exec, op, "x", args.x, {kAnyExtent, kAnyExtent});
  const std::int64_t dim = args.x.shape[1];
  check_view(exec, op, "residual", args.residual, DType::f32, {args.x.rows(), dim});
  if (args.y.dims != 0) {
    check_view(exec, op, "y", args.y, args.x.dtype, {args.x.rows(), dim});
  }
  if (on_device(exec, op)) {
    return exec.ops->residual_add(exec, args);
  }
  add_rows(exec, {.x = args.x, .post_weight = {}, .residual = args.residual, .y = args.y},
           args.scale);
}

void add_normed(const Exec& exec, const AddNormedArgs& args) {
  constexpr const char* op = "add_normed";
  check_activation(exec, op, "x", args.x, {kAnyExtent, kAnyExtent});
  const std::int64_t dim = args.x.shape[1];
  check_view(exec, op, "post_weight", args.post_weight, DType::f32, {dim});
  check_view(exec, op, "residual", args.residual, DType::f32, {args.x.rows(), dim});
  check_view(exec, op, "y", args.y, args.x.dtype, {args.x.rows(), dim});
  if (args.weight.dims != 0) {
    check_view(exec, op, "weight", args.weight, DType::f32, {dim});
  }
  if (on_device(exec, op)) {
    return exec.ops->add_normed(exec, args);
  }
  add_rows(exec, args, 1.0f);
}

}  // namespace tutti
