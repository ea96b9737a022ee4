#include "kernels/embedding.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/error.hpp"
#include "tests/kernels/kernel_fixture.hpp"

namespace tutti {
namespace {

using testing::host_exec;
using testing::RandomMatrix;
using testing::view_of;

struct Case {
  DType dtype;
  int hidden;
  int tokens;
  int threads;
};

class EmbeddingTest : public ::testing::TestWithParam<Case> {};

TEST_P(EmbeddingTest, CopiesOwnedRowsExactlyAndZerosOthers) {
  const Case c = GetParam();
  constexpr std::int64_t kRows = 50;
  constexpr std::int64_t kFirst = 100;
  RandomMatrix table(c.dtype, kRows, c.hidden, 1);
  std::vector<std::int32_t> ids;
  for (int t = 0; t < c.tokens; ++t) {
    ids.push_back(90 + t * 13 % 70);  // some below, some above the rows of this rank
  }
  std::vector<float> y(static_cast<std::size_t>(c.tokens * c.hidden), -7.0f);
  embedding(host_exec(c.threads), {.ids = view_of(ids, {c.tokens}),
                                   .table = table.weight,
                                   .first_row = kFirst,
                                   .y = view_of(y, {c.tokens, c.hidden})});
  for (int t = 0; t < c.tokens; ++t) {
    const std::int64_t row = ids[static_cast<std::size_t>(t)] - kFirst;
    for (int i = 0; i < c.hidden; ++i) {
      const float wanted = row >= 0 && row < kRows ? table.at(row, i) : 0.0f;
      ASSERT_EQ(y[static_cast<std::size_t>(t * c.hidden + i)], wanted) << t << ", " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, EmbeddingTest,
                         ::testing::Values(Case{DType::f32, 64, 7, 1}, Case{DType::bf16, 61, 40, 2},
                                           Case{DType::f16, 576, 200, 2},
                                           Case{DType::bf16, 1, 1, 1}, Case{DType::f16, 3, 0, 1}));

// Scaled rows, and rows of a second table on top; a row of another rank adds nothing.
TEST(EmbeddingScaleTest, ScalesAndAdds) {
  RandomMatrix table(DType::bf16, 6, 77, 1);
  RandomMatrix places(DType::f32, 4, 77, 2);
  std::vector<std::int32_t> ids = {5, 0, 3};
  std::vector<std::int32_t> positions = {0, 3, 9};
  std::vector<float> y(3 * 77);
  embedding(
      host_exec(1),
      {.ids = view_of(ids, {3}), .table = table.weight, .scale = 12.5f, .y = view_of(y, {3, 77})});
  embedding(host_exec(1), {.ids = view_of(positions, {3}),
                           .table = places.weight,
                           .add = true,
                           .y = view_of(y, {3, 77})});
  for (int t = 0; t < 3; ++t) {
    for (int i = 0; i < 77; ++i) {
      const float row = table.at(ids[std::size_t(t)], i) * 12.5f;
      const float place = t < 2 ? places.at(positions[std::size_t(t)], i) : 0.0f;
      ASSERT_EQ(y[std::size_t(t * 77 + i)], row + place);
    }
  }
}

TEST(EmbeddingErrorTest, NamesShapesThatDisagree) {
  RandomMatrix table(DType::bf16, 5, 8, 1);
  std::vector<std::int32_t> ids = {1, 2};
  std::vector<float> y(32);
  try {
    embedding(host_exec(1),
              {.ids = view_of(ids, {2}), .table = table.weight, .y = view_of(y, {2, 9})});
    FAIL() << "no error";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(),
                ::testing::HasSubstr("embedding: y is f32 [2, 9], wanted f32 [2, 8]"));
  }
}

TEST(EmbeddingErrorTest, RefusesADeviceThatWasNotBuiltIn) {
  Exec exec;
  exec.place = Place::cuda;
  std::vector<std::int32_t> ids = {1};
  std::vector<float> table(4), y(4);
  const auto on_device = [](TensorView view) {
    view.place = Place::cuda;
    return view;
  };
  EXPECT_THROW(embedding(exec, {.ids = on_device(view_of(ids, {1})),
                                .table = {on_device(view_of(table, {1, 4}))},
                                .y = on_device(view_of(y, {1, 4}))}),
               DeviceError);
}

}  // namespace
}  // namespace tutti
