#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/transpose.hpp"
#include "tests/kernels/kernel_fixture.hpp"
#include "tests/support/gpu_fixture.hpp"

namespace tutti {
namespace {

struct Shape {
  std::int64_t rows;
  std::int64_t columns;
  std::int64_t stride;
};

class TransposeCudaTest : public testing::GpuTest {
 protected:
  static void expect_equal_bytes(DType dtype, const Shape& s) {
    const std::size_t size = size_of(dtype);
    std::vector<std::byte> x(static_cast<std::size_t>(s.rows * s.columns) * size);
    for (std::size_t i = 0; i < x.size(); ++i) {
      x[i] = static_cast<std::byte>(i * 31 + (i >> 8) * 7);
    }
    std::vector<std::byte> y(static_cast<std::size_t>(s.columns * s.stride) * size,
                             std::byte{0xff});
    testing::GpuArray gpu_x = testing::to_gpu(device(), dtype, {s.rows, s.columns}, x.data());
    testing::GpuArray gpu_y = testing::to_gpu(device(), dtype, {s.columns, s.stride}, y.data());
    TensorView wanted(y.data(), dtype, Place::host, {s.columns, s.rows});
    wanted.row_stride = s.stride;
    TensorView found(gpu_y.view.data, dtype, Place::cuda, {s.columns, s.rows});
    found.row_stride = s.stride;
    transpose(testing::host_exec(2),
              {.x = TensorView(x.data(), dtype, Place::host, {s.rows, s.columns}), .y = wanted});
    transpose(exec(), {.x = gpu_x.view, .y = found});
    const std::vector<std::byte> bytes = testing::bytes_of(device(), gpu_y.view);
    const auto at = std::mismatch(y.begin(), y.end(), bytes.begin()).first - y.begin();
    EXPECT_EQ(at, std::ssize(y)) << name_of(dtype) << " [" << s.rows << ", " << s.columns
                                 << "]: first wrong byte " << at << " of " << y.size();
  }
};

TEST_F(TransposeCudaTest, EqualsTheHost) {
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16, DType::i32}) {
    for (const Shape& s : {Shape{64, 64, 64}, Shape{1, 1, 1}, Shape{1, 300, 1}, Shape{300, 1, 301},
                           Shape{65, 127, 70}, Shape{576, 1536, 1536}, Shape{1000, 333, 1000}}) {
      expect_equal_bytes(dtype, s);
    }
  }
}

}  // namespace
}  // namespace tutti
