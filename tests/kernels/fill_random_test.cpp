#include "kernels/fill_random.hpp"

#include <gtest/gtest.h>

#include "kernels/error.hpp"
#include "tests/kernels/kernel_fixture.hpp"

namespace tutti {
namespace {

using testing::host_exec;
using testing::view_of;

TEST(RandomElementTest, IsTheSameForever) {
  // Models exist only as this function: a change of one bit would be another model.
  EXPECT_EQ(random_element(0, 0), 0x1.6dba14p0f);
  EXPECT_EQ(random_element(42, 7), -0x1.448b14p-2f);
  EXPECT_EQ(random_element(0xffffffffffffffffu, 1'000'000'000'000u), 0x1.275412p0f);
}

TEST(RandomElementTest, IsAboutNormal) {
  double sum = 0;
  double squares = 0;
  constexpr int kCount = 100'000;
  for (std::uint64_t i = 0; i < kCount; ++i) {
    const double x = random_element(5, i);
    sum += x;
    squares += x * x;
  }
  // Five standard deviations of the mean, and of the mean square (of which a normal's is 2).
  EXPECT_NEAR(sum / kCount, 0, 5 / std::sqrt(double{kCount}));
  EXPECT_NEAR(squares / kCount, 1, 5 * std::sqrt(2.0 / kCount));
}

struct Case {
  int rows;
  int columns;
  int first_row;
  float scale;
  float offset;
  bool transposed;
  int threads;
};

class FillRandomTest : public ::testing::TestWithParam<Case> {};

TEST_P(FillRandomTest, IsTheSliceOfTheStoredMatrix) {
  const Case c = GetParam();
  const int stride = c.columns + 3;
  std::vector<float> y(std::size_t(c.rows * stride), -7.0f);
  TensorView view = view_of(y, {c.rows, c.columns});
  view.row_stride = stride;
  fill_random(host_exec(c.threads), {.key = 99,
                                     .first_row = c.first_row,
                                     .scale = c.scale,
                                     .offset = c.offset,
                                     .transposed = c.transposed,
                                     .y = view});
  for (int i = 0; i < c.rows; ++i) {
    for (int j = 0; j < stride; ++j) {
      const std::int64_t index = c.transposed ? std::int64_t{c.first_row + j} * c.rows + i
                                              : std::int64_t{c.first_row + i} * c.columns + j;
      const float random = random_element(99, std::uint64_t(index));
      const float wanted = j < c.columns ? std::fma(c.scale, random, c.offset) : -7.0f;
      ASSERT_EQ(y[std::size_t(i * stride + j)], wanted) << i << ", " << j;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Slices, FillRandomTest,
    ::testing::Values(Case{5, 7, 0, 1, 0, false, 1}, Case{33, 65, 12, 0.02f, 0, false, 2},
                      Case{3, 9001, 4, 0.1f, 1, false, 2}, Case{65, 33, 12, 0.02f, 0, true, 2},
                      Case{9, 5000, 77, 0.1f, 1, true, 2}, Case{0, 8, 0, 1, 0, false, 1},
                      Case{1, 1, 1'000'000, 1, 2, false, 1}));

TEST(FillRandomTypesTest, RoundsWhatAFloatWouldBe) {
  constexpr int kCount = 10'000;
  std::vector<float> wide(kCount);
  std::vector<std::uint16_t> narrow(kCount);
  FillRandomArgs args{.key = 3, .scale = 0.1f, .offset = 1, .y = view_of(wide, {kCount})};
  fill_random(host_exec(2), args);
  args.y = TensorView(narrow.data(), DType::bf16, Place::host, {kCount});
  fill_random(host_exec(2), args);
  for (std::size_t i = 0; i < kCount; ++i) {
    ASSERT_EQ(narrow[i], to_bf16(wide[i]).bits) << i;
  }
  args.y.dtype = DType::f16;
  fill_random(host_exec(1), args);
  for (std::size_t i = 0; i < kCount; ++i) {
    ASSERT_EQ(narrow[i], to_f16(wide[i]).bits) << i;
  }
}

TEST(FillRandomErrorTest, RefusesWholeNumbers) {
  std::vector<std::int32_t> y(4);
  EXPECT_THROW(fill_random(host_exec(1), {.y = view_of(y, {4})}), ConfigError);
}

}  // namespace
}  // namespace tutti
