#include <gtest/gtest.h>

#include "kernels/rmsnorm.hpp"
#include "tests/kernels/kernel_fixture.hpp"
#include "tests/support/gpu_compare.hpp"

namespace tutti {
namespace {

using testing::GpuArray;
using testing::poisoned;
using testing::to_gpu;

struct Shape {
  std::int64_t tokens;
  std::int64_t dim;
  std::int64_t stride;  // of x, residual and y
};

// Vectors in one, two and four rounds; rows and strides that vectors do not take.
constexpr Shape kShapes[] = {{1, 4096, 4096},   {16, 8192, 8192},  {3, 576, 1024},
                             {2, 8200, 8200},   {2, 16384, 16384}, {1, 20000, 20000},
                             {3, 40000, 40000}, {5, 77, 77},       {2, 64, 67},
                             {4, 8, 8},         {2, 1, 1},         {0, 64, 64}};

class RmsnormCudaTest : public testing::GpuTest {
 protected:
  static TensorView rows_of(const GpuArray& array, const Shape& s) {
    TensorView view(array.view.data, array.view.dtype, Place::cuda, {s.tokens, s.dim});
    view.row_stride = s.stride;
    return view;
  }
  static std::string name(const char* op, DType dtype, const Shape& s) {
    return std::string(op) + " " + std::string(name_of(dtype)) + " [" + std::to_string(s.tokens) +
           ", " + std::to_string(s.dim) + "] stride " + std::to_string(s.stride);
  }
  static bool inside(const Shape& s, std::size_t i) {
    return static_cast<std::int64_t>(i) % s.stride < s.dim;
  }
  // The formula in double; elements between the rows are 0.
  static std::vector<double> formula(const std::vector<float>& x, const std::vector<float>& weight,
                                     float eps, const Shape& s) {
    std::vector<double> y(x.size(), 0.0);
    for (std::int64_t t = 0; t < s.tokens; ++t) {
      const float* row = &x[static_cast<std::size_t>(t * s.stride)];
      double sum = 0;
      for (std::int64_t i = 0; i < s.dim; ++i) {
        sum += double{row[i]} * row[i];
      }
      const double factor = 1 / std::sqrt(sum / static_cast<double>(s.dim) + double{eps});
      for (std::int64_t i = 0; i < s.dim; ++i) {
        y[static_cast<std::size_t>(t * s.stride + i)] =
            row[i] * factor * weight[static_cast<std::size_t>(i)];
      }
    }
    return y;
  }
  // A sum of at most 32 + 10 terms in each chain (40 where rows are read twice), of which the root
  // halves the error, five more roundings, and the one to y's type (f16: or its smallest number).
  static std::function<double(double)> tolerance(DType dtype) {
    return [dtype](double wanted) {
      return std::abs(wanted) * (32 * 0x1p-24 + testing::unit_roundoff(dtype)) +
             (dtype == DType::f16 ? 0x1p-25 : 0x1p-140);
    };
  }
  // Elements between the rows must be as they were: NaN. They are checked and made 0.
  static std::vector<float> without_gaps(const std::string& what, std::vector<float> y,
                                         const Shape& s) {
    for (std::size_t i = 0; i < y.size(); ++i) {
      if (!inside(s, i)) {
        EXPECT_TRUE(std::isnan(y[i])) << what << ": wrote between the rows, at " << i;
        y[i] = 0;
      }
    }
    return y;
  }
};

TEST_F(RmsnormCudaTest, AgreesWithTheFormula) {
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    for (const Shape& s : kShapes) {
      const std::vector<float> x = testing::random_floats(s.tokens * s.stride, 1);
      const std::vector<float> weight = testing::random_floats(s.dim, 2);
      const GpuArray gpu_x = to_gpu(device(), DType::f32, {s.tokens, s.stride}, x);
      const GpuArray gpu_w = to_gpu(device(), DType::f32, {s.dim}, weight);
      const GpuArray y = poisoned(device(), dtype, {s.tokens, s.stride});
      rmsnorm(exec(), {.x = rows_of(gpu_x, s), .weight = gpu_w.view, .y = rows_of(y, s)});
      const std::string what = name("rmsnorm", dtype, s);
      testing::expect_near_all(what, without_gaps(what, testing::floats_of(device(), y.view), s),
                               formula(x, weight, 1e-5f, s), tolerance(dtype));
    }
  }
}

TEST_F(RmsnormCudaTest, WritesOverItsInput) {
  for (const Shape& s : {Shape{3, 4096, 4096}, Shape{2, 77, 77}}) {
    const std::vector<float> x = testing::random_floats(s.tokens * s.dim, 1);
    const std::vector<float> weight = testing::random_floats(s.dim, 2);
    const GpuArray gpu_x = to_gpu(device(), DType::f32, {s.tokens, s.dim}, x);
    const GpuArray gpu_w = to_gpu(device(), DType::f32, {s.dim}, weight);
    rmsnorm(exec(), {.x = gpu_x.view, .weight = gpu_w.view, .eps = 1e-3f, .y = gpu_x.view});
    testing::expect_near_all(name("in place", DType::f32, s),
                             testing::floats_of(device(), gpu_x.view), formula(x, weight, 1e-3f, s),
                             tolerance(DType::f32));
  }
}

TEST_F(RmsnormCudaTest, AddsTheResidualExactlyAndNormalisesTheSum) {
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    for (const Shape& s : kShapes) {
      for (const bool in_place : {false, true}) {
        const std::vector<float> x =
            testing::rounded(dtype, testing::random_floats(s.tokens * s.stride, 1));
        std::vector<float> residual = testing::random_floats(s.tokens * s.stride, 3);
        const std::vector<float> weight = testing::random_floats(s.dim, 2);
        const GpuArray gpu_x = to_gpu(device(), dtype, {s.tokens, s.stride}, x);
        const GpuArray gpu_r = to_gpu(device(), DType::f32, {s.tokens, s.stride}, residual);
        const GpuArray gpu_w = to_gpu(device(), DType::f32, {s.dim}, weight);
        const GpuArray other = poisoned(device(), dtype, {s.tokens, s.stride});
        const GpuArray& y = in_place ? gpu_x : other;
        add_rmsnorm(exec(), {.x = rows_of(gpu_x, s),
                             .residual = rows_of(gpu_r, s),
                             .weight = gpu_w.view,
                             .y = rows_of(y, s)});
        for (std::size_t i = 0; i < x.size(); ++i) {
          residual[i] += inside(s, i) ? x[i] : 0.0f;
        }
        const std::string what = name(in_place ? "add_rmsnorm over x" : "add_rmsnorm", dtype, s);
        testing::expect_equal_all(what + ": residual", testing::floats_of(device(), gpu_r.view),
                                  residual);
        std::vector<float> found = testing::floats_of(device(), y.view);
        std::vector<double> wanted = formula(residual, weight, 1e-5f, s);
        if (in_place) {
          for (std::size_t i = 0; i < found.size(); ++i) {
            wanted[i] = inside(s, i) ? wanted[i] : double{x[i]};  // between the rows: as it was
          }
        } else {
          found = without_gaps(what, std::move(found), s);
        }
        testing::expect_near_all(what, found, wanted, tolerance(dtype));
      }
    }
  }
}

TEST_F(RmsnormCudaTest, GivesARowTheSameBitsInAnyBatch) {
  const Shape s{37, 4096, 4096};
  const GpuArray x =
      to_gpu(device(), DType::f32, {s.tokens, s.dim}, testing::random_floats(s.tokens * s.dim, 1));
  const GpuArray w = to_gpu(device(), DType::f32, {s.dim}, testing::random_floats(s.dim, 2));
  const GpuArray all = poisoned(device(), DType::f32, {s.tokens, s.dim});
  const GpuArray one = poisoned(device(), DType::f32, {1, s.dim});
  rmsnorm(exec(), {.x = x.view, .weight = w.view, .y = all.view});
  for (const std::int64_t t : {0, 17, 36}) {
    rmsnorm(exec(), {.x = x.view.row_slice({t, t + 1}), .weight = w.view, .y = one.view});
    EXPECT_EQ(testing::bytes_of(device(), one.view),
              testing::bytes_of(device(), all.view.row_slice({t, t + 1})))
        << "row " << t;
  }
}

}  // namespace
}  // namespace tutti
