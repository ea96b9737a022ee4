// Every quantized format against values of the Python package gguf
// (tests/golden/quantized/make.py), bit for bit, and the conversions between plain types.
#include "runtime/weights/dequantize.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "kernels/error.hpp"
#include "runtime/weights/input.hpp"
#include "runtime/weights/read_elements.hpp"
#include "tests/support/packed.hpp"

namespace tutti {
namespace {

struct Reference {
  std::string blocks;
  std::vector<float> values;
};

Reference load_reference(const BlockFormat& format) {
  const std::string text =
      read_text("tests/golden/quantized/" + std::string(format.name) + ".bin", 1 << 20);
  const std::size_t per_block = format.block_bytes + 4 * format.block_elements;
  const std::size_t count = text.size() / per_block;
  EXPECT_EQ(text.size(), count * per_block);
  Reference reference{text.substr(0, count * format.block_bytes), {}};
  reference.values.resize(count * format.block_elements);
  std::memcpy(reference.values.data(), text.data() + reference.blocks.size(),
              4 * reference.values.size());
  return reference;
}

// Bits, except that one NaN is as good as another.
bool same(float a, float b) {
  return (std::isnan(a) && std::isnan(b)) ||
         std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
}

class DequantizeTest : public testing::TestWithParam<std::uint32_t> {
 protected:
  const BlockFormat& format() const { return *find_block_format(GetParam()); }
};

TEST_P(DequantizeTest, equals_the_reference_bit_for_bit) {
  const Reference reference = load_reference(format());
  const std::size_t per_block = format().block_elements;
  std::vector<float> values(reference.values.size());
  for (std::size_t i = 0; i < values.size() / per_block; ++i) {
    format().dequantize(
        reinterpret_cast<const std::byte*>(reference.blocks.data()) + i * format().block_bytes,
        values.data() + i * per_block);
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    ASSERT_TRUE(same(values[i], reference.values[i]))
        << format().name << " element " << i << ": wanted " << reference.values[i] << ", found "
        << values[i];
  }
}

TEST_P(DequantizeTest, ranges_need_not_fall_on_blocks) {
  const Reference reference = load_reference(format());
  const InputBytes input("memory", std::as_bytes(std::span(reference.blocks)));
  const auto total = static_cast<std::int64_t>(reference.values.size());
  for (const Range range : {Range{0, total}, Range{5, total - 7}, Range{33, 34}, Range{9, 9}}) {
    std::vector<float> values(static_cast<std::size_t>(range.size()));
    read_blocks({input, 0}, format(), range, DType::f32,
                reinterpret_cast<std::byte*>(values.data()));
    for (std::int64_t i = 0; i < range.size(); ++i) {
      ASSERT_TRUE(same(values[static_cast<std::size_t>(i)],
                       reference.values[static_cast<std::size_t>(range.begin + i)]));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, DequantizeTest, testing::Values(2, 3, 6, 7, 8, 12, 13, 14),
                         [](const auto& of) {
                           return std::string(find_block_format(of.param)->name);
                         });

TEST(BlockFormatTest, numbers_and_names_are_unique_and_gaps_are_unknown) {
  std::set<std::string_view> names;
  for (std::uint32_t type = 0; type < 64; ++type) {
    if (const BlockFormat* format = find_block_format(type)) {
      EXPECT_TRUE(names.insert(format->name).second) << format->name;
    }
  }
  EXPECT_EQ(names.size(), 34u);
  EXPECT_EQ(find_block_format(4), nullptr);
  EXPECT_EQ(find_block_format(1000), nullptr);
  ASSERT_NE(find_block_format(16), nullptr);
  EXPECT_FALSE(find_block_format(16)->readable());
}

TEST(ConvertElementsTest, rounds_to_nearest_even_and_keeps_specials) {
  // 1.00390625 lies between two bf16 and 1.00048828125 between two f16: ties go to even.
  const std::vector<float> values = {1.0f,           -2.5f,    1.00390625f, 1.01171875f,
                                     1.00048828125f, 65520.0f, 1e-8f,       INFINITY};
  for (DType to : {DType::f32, DType::f16, DType::bf16}) {
    std::string found(values.size() * size_of(to), '\0');
    convert_elements(reinterpret_cast<const std::byte*>(values.data()), DType::f32,
                     reinterpret_cast<std::byte*>(found.data()), to, values.size());
    EXPECT_EQ(found, test::packed_as(to, values)) << name_of(to);
  }
  EXPECT_EQ(to_bf16(1.00390625f).bits, 0x3f80);
  EXPECT_EQ(to_bf16(1.01171875f).bits, 0x3f82);
}

TEST(ConvertElementsTest, takes_any_alignment_and_every_pair_of_types) {
  const std::vector<float> values = {0.0f, 1.5f, -3.0f, 1024.0f, -0.25f};  // exact in all types
  for (DType from : {DType::f32, DType::f16, DType::bf16}) {
    for (DType to : {DType::f32, DType::f16, DType::bf16}) {
      const std::string source = "x" + test::packed_as(from, values);
      std::string found(1 + values.size() * size_of(to), 'x');
      convert_elements(reinterpret_cast<const std::byte*>(source.data()) + 1, from,
                       reinterpret_cast<std::byte*>(found.data()) + 1, to, values.size());
      EXPECT_EQ(found, "x" + test::packed_as(to, values)) << name_of(from) << name_of(to);
    }
  }
  EXPECT_THROW(convert_elements(nullptr, DType::i32, nullptr, DType::f32, 1), Error);
}

}  // namespace
}  // namespace tutti
