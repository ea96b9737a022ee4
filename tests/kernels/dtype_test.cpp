// The 16-bit floats, exhaustively: the scalar conversions against arithmetic on the fields, and the
// vectorised ones of every instruction set against the scalar ones.
#include "kernels/dtype.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "kernels/simd.hpp"

namespace tutti {
namespace {

// The value of a float of `exponent_bits` and `mantissa_bits`, by its definition.
double value_of(std::uint32_t bits, int exponent_bits, int mantissa_bits) {
  const std::uint32_t mantissa = bits & ((1u << mantissa_bits) - 1);
  const std::uint32_t exponent = (bits >> mantissa_bits) & ((1u << exponent_bits) - 1);
  const double sign = (bits >> (exponent_bits + mantissa_bits)) & 1 ? -1 : 1;
  const int bias = (1 << (exponent_bits - 1)) - 1;
  if (exponent == (1u << exponent_bits) - 1) {
    return mantissa ? std::nan("") : sign * std::numeric_limits<double>::infinity();
  }
  const double whole = exponent ? 1u << mantissa_bits : 0;
  return sign * std::ldexp(whole + mantissa, std::max(1, int(exponent)) - bias - mantissa_bits);
}

template <typename T>
struct Format;
template <>
struct Format<f16> {
  static constexpr int kExponent = 5, kMantissa = 10;
};
template <>
struct Format<bf16> {
  static constexpr int kExponent = 8, kMantissa = 7;
};

template <typename T>
class DtypeTest : public ::testing::Test {
 protected:
  static double value(std::uint32_t bits) {
    return value_of(bits, Format<T>::kExponent, Format<T>::kMantissa);
  }
};
using SixteenBits = ::testing::Types<f16, bf16>;
TYPED_TEST_SUITE(DtypeTest, SixteenBits);

TYPED_TEST(DtypeTest, EveryPatternWidensToItsValueAndComesBack) {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const TypeParam narrow = {static_cast<std::uint16_t>(bits)};
    const float wide = to_float(narrow);
    const double wanted = this->value(bits);
    if (std::isnan(wanted)) {
      ASSERT_TRUE(std::isnan(wide)) << bits;
      ASSERT_TRUE(std::isnan(to_float(from_float<TypeParam>(wide)))) << bits;
    } else {
      ASSERT_EQ(wide, wanted) << bits;
      ASSERT_EQ(std::signbit(wide), std::signbit(wanted)) << bits;
      ASSERT_EQ(from_float<TypeParam>(wide).bits, bits);
    }
  }
}

// Between each pair of neighbours: just below the middle, the middle (to even), just above.
TYPED_TEST(DtypeTest, RoundsToNearestAndTiesToEven) {
  for (std::uint32_t bits = 0; bits < 0x8000; ++bits) {
    const double low = this->value(bits);
    const double high = this->value(bits + 1);
    if (!std::isfinite(high)) {
      break;
    }
    const float middle = static_cast<float>((low + high) / 2);
    ASSERT_EQ(double{middle}, (low + high) / 2);
    for (std::uint32_t sign : {0u, 0x8000u}) {
      const float s = sign ? -1.0f : 1.0f;
      ASSERT_EQ(from_float<TypeParam>(s * std::nextafter(middle, 0.0f)).bits, bits | sign);
      ASSERT_EQ(from_float<TypeParam>(s * middle).bits, ((bits + 1) & ~1u) | sign);
      ASSERT_EQ(
          from_float<TypeParam>(s * std::nextafter(middle, std::numeric_limits<float>::infinity()))
              .bits,
          (bits + 1) | sign);
    }
  }
}

TEST(DtypeLimitsTest, OverflowBecomesInfinity) {
  EXPECT_EQ(to_f16(65519.0f).bits, 0x7bff);
  EXPECT_EQ(to_f16(65520.0f).bits, 0x7c00);
  EXPECT_EQ(to_f16(-1e30f).bits, 0xfc00);
  EXPECT_EQ(to_bf16(std::numeric_limits<float>::max()).bits, 0x7f80);
  EXPECT_EQ(to_f16(1e-30f).bits, 0);
}

TEST(DtypeLimitsTest, NamesGoThereAndBack) {
  for (DType dtype : {DType::f32, DType::f16, DType::bf16, DType::i32}) {
    EXPECT_EQ(dtype_from_name(name_of(dtype)), dtype);
  }
  EXPECT_EQ(dtype_from_name("f64"), std::nullopt);
}

template <typename T>
struct WidenAll {
  template <int W>
  static TUTTI_INLINE void run(const T* from, float* to) {
    for (int i = 0; i < 65536; i += W) {
      simd::F32<W> v;
      simd::load_wide<W>(v, from + i);
      simd::store(to + i, v);
    }
  }
};

TYPED_TEST(DtypeTest, VectorsWidenLikeScalarsOnEveryInstructionSet) {
  std::vector<TypeParam> narrow(65536);
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    narrow[bits].bits = static_cast<std::uint16_t>(bits);
  }
  for (Isa isa : {Isa::baseline, Isa::avx2, Isa::avx512}) {
    if (isa > detect_isa()) {
      continue;
    }
    std::vector<float> wide(65536);
    multiversion_at<WidenAll<TypeParam>>(isa, static_cast<const TypeParam*>(narrow.data()),
                                         wide.data());
    for (std::uint32_t bits = 0; bits < 65536; ++bits) {
      ASSERT_EQ(std::bit_cast<std::uint32_t>(wide[bits]),
                std::bit_cast<std::uint32_t>(to_float(narrow[bits])))
          << bits << " on instruction set " << int(isa);
    }
  }
}

struct ExpAll {
  template <int W>
  static TUTTI_INLINE void run(float* values, int n) {
    for (int i = 0; i < n; i += W) {
      simd::F32<W> v;
      simd::load(v, values + i);
      simd::exp<W>(v);
      simd::store(values + i, v);
    }
  }
};

TEST(SimdExpTest, IsWithinTwoUlpAndExactAtTheEnds) {
  constexpr int kCount = 16384;
  for (Isa isa : {Isa::baseline, Isa::avx2, Isa::avx512}) {
    if (isa > detect_isa()) {
      continue;
    }
    std::vector<float> x(kCount);
    for (int i = 0; i < kCount; ++i) {
      x[std::size_t(i)] = -86.9f + 174.8f * float(i) / kCount;
    }
    std::vector<float> y = x;
    multiversion_at<ExpAll>(isa, y.data(), kCount);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double wanted = std::exp(double{x[i]});
      ASSERT_NEAR(y[i], wanted, 2 * 0x1p-23 * wanted) << x[i];
    }
    std::vector<float> ends(16, 0.0f);
    ends[1] = -std::numeric_limits<float>::infinity();
    ends[2] = -100.0f;
    ends[3] = std::nanf("");
    multiversion_at<ExpAll>(isa, ends.data(), 16);
    EXPECT_EQ(ends[0], 1.0f);
    EXPECT_EQ(ends[1], 0.0f);
    EXPECT_EQ(ends[2], 0.0f);
    EXPECT_TRUE(std::isnan(ends[3]));
  }
}

}  // namespace
}  // namespace tutti
