#include "runtime/weights/random_weights.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/error.hpp"
#include "kernels/fill_random.hpp"
#include "tests/runtime/weights/slice_fixture.hpp"

namespace tutti {
namespace {

using namespace test;
using Layout = WeightSlice::Layout;

Bytes load(const RandomWeights& source, WeightSlice slice) {
  const auto device = make_host_device(2);
  std::vector<WeightSlice> slices{std::move(slice)};
  const std::vector<Tensor> tensors = allocate(*device, source, slices);
  source.load(*device, slices);
  return contents_of(*device, slices[0].to);
}

// docs/decisions/0004-hashed-weights.md: a change of these is a change of all random models.
TEST(RandomWeights, ElementsAreTheHashOfTheirPlace) {
  const RandomWeights source(7, DType::f32);
  const Bytes bytes = load(source, {.name = "m", .shape = {50, 33}, .rows = {4, 44}});
  const std::uint64_t key = random_tensor_key(7, "m");
  for (std::size_t r = 0; r < 40; ++r) {
    for (std::size_t c = 0; c < 33; ++c) {
      float found = 0;
      std::memcpy(&found, &bytes[4 * (r * 33 + c)], 4);
      const float element = random_element(key, (4 + r) * 33 + c);
      ASSERT_EQ(found, std::fma(1.0f / std::sqrt(50.0f), element, 0.0f)) << r << ", " << c;
    }
  }
}

TEST(RandomWeights, RanksSlicesAreRowsOfTheWhole) {
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
    const RandomWeights source(3, dtype);
    const Bytes whole = load(source, {.name = "m", .shape = {90, 40}, .rows = {0, 90}});
    const Bytes part = load(source, {.name = "m", .shape = {90, 40}, .rows = {31, 77}});
    const std::size_t row = 40 * size_of(dtype);
    EXPECT_EQ(Bytes(whole.begin() + static_cast<std::ptrdiff_t>(31 * row),
                    whole.begin() + static_cast<std::ptrdiff_t>(77 * row)),
              part);
  }
}

TEST(RandomWeights, ATransposedSliceIsTheStoredMatrixTurned) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const RandomWeights source(3, dtype);
    const Bytes rows = load(source, {.name = "m", .shape = {90, 40}, .rows = {31, 77}});
    const Bytes turned = load(
        source, {.name = "m", .shape = {90, 40}, .rows = {31, 77}, .layout = Layout::transposed});
    const std::size_t size = size_of(dtype);
    for (std::size_t r = 0; r < 46; ++r) {
      for (std::size_t c = 0; c < 40; ++c) {
        ASSERT_EQ(std::memcmp(&rows[(r * 40 + c) * size], &turned[(c * 46 + r) * size], size), 0)
            << r << ", " << c;
      }
    }
  }
}

TEST(RandomWeights, NormsAreNearOneAndHaveBeenRoundedToTheType) {
  const RandomWeights source(5, DType::bf16);
  const Bytes bytes =
      load(source, {.name = "n", .shape = {500}, .rows = {0, 500}, .layout = Layout::vector});
  double sum = 0;
  for (std::size_t i = 0; i < 500; ++i) {
    float value = 0;
    std::memcpy(&value, &bytes[4 * i], 4);
    EXPECT_EQ(value, to_float(to_bf16(value)));
    EXPECT_NEAR(value, 1, 0.4);
    sum += value;
  }
  EXPECT_NEAR(sum / 500, 1, 0.02);
}

TEST(RandomWeights, SeedsAndNamesMakeDifferentMatrices) {
  const WeightSlice a{.name = "a", .shape = {8, 8}, .rows = {0, 8}};
  const WeightSlice b{.name = "b", .shape = {8, 8}, .rows = {0, 8}};
  const RandomWeights one(1, DType::f32);
  EXPECT_EQ(load(one, a), load(one, a));
  EXPECT_NE(load(one, a), load(one, b));
  EXPECT_NE(load(one, a), load(RandomWeights(2, DType::f32), a));
}

TEST(RandomWeights, TellHowManyBytesTheStoredModelWouldHave) {
  std::uint64_t bytes = 0;
  const RandomWeights source(1, DType::bf16, [&](std::uint64_t more) { bytes += more; });
  load(source, {.name = "m", .shape = {8, 9}, .rows = {2, 8}});
  load(source, {.name = "n", .shape = {10}, .rows = {0, 10}, .layout = Layout::vector});
  EXPECT_EQ(bytes, 6u * 9 * 2 + 10 * 2);
}

TEST(RandomWeights, IntegersAreRefused) {
  EXPECT_THROW(RandomWeights(1, DType::i32), ConfigError);
}

}  // namespace
}  // namespace tutti
