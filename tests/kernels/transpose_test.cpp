#include "kernels/transpose.hpp"

#include <gtest/gtest.h>

#include "kernels/error.hpp"
#include "tests/kernels/kernel_fixture.hpp"

namespace tutti {
namespace {

using testing::host_exec;
using testing::view_of;

TEST(TransposeTest, MovesEveryElementAndNothingElse) {
  for (const auto& [rows, columns] : {std::pair{1, 1}, {3, 5}, {32, 64}, {33, 200}, {0, 4}}) {
    const int stride = rows + 2;
    std::vector<std::int32_t> x(std::size_t(rows * columns));
    for (std::size_t i = 0; i < x.size(); ++i) {
      x[i] = static_cast<std::int32_t>(i);
    }
    std::vector<std::int32_t> y(std::size_t(columns * stride), -1);
    TensorView view = view_of(y, {columns, rows});
    view.row_stride = stride;
    transpose(host_exec(2), {.x = view_of(x, {rows, columns}), .y = view});
    for (int c = 0; c < columns; ++c) {
      for (int r = 0; r < stride; ++r) {
        ASSERT_EQ(y[std::size_t(c * stride + r)], r < rows ? r * columns + c : -1)
            << c << ", " << r;
      }
    }
  }
}

TEST(TransposeTest, TakesElementsOfTwoBytes) {
  std::vector<std::uint16_t> x = {1, 2, 3, 4, 5, 6};
  std::vector<std::uint16_t> y(6);
  transpose(host_exec(1), {.x = TensorView(x.data(), DType::bf16, Place::host, {2, 3}),
                           .y = TensorView(y.data(), DType::bf16, Place::host, {3, 2})});
  EXPECT_EQ(y, (std::vector<std::uint16_t>{1, 4, 2, 5, 3, 6}));
}

TEST(TransposeTest, RefusesAnotherShapeOrType) {
  std::vector<float> x(6);
  std::vector<float> y(6);
  std::vector<std::int32_t> z(6);
  EXPECT_THROW(transpose(host_exec(1), {.x = view_of(x, {2, 3}), .y = view_of(y, {2, 3})}),
               ConfigError);
  EXPECT_THROW(transpose(host_exec(1), {.x = view_of(x, {2, 3}), .y = view_of(z, {3, 2})}),
               ConfigError);
}

}  // namespace
}  // namespace tutti
