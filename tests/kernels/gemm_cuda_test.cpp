// The device's product against the host's. Small integers make every sum exact, in any order, so
// that most results are compared exactly: after the one rounding to y's type.
#include <cmath>
#include <limits>
#include <thread>

#include "kernels/device_ops.hpp"
#include "kernels/gemm.hpp"
#include "tests/kernels/kernel_fixture.hpp"
#include "tests/support/gpu_compare.hpp"

namespace tutti {
namespace {

using testing::bytes_of;
using testing::floats_of;
using testing::gpu_array;
using testing::GpuArray;
using testing::GpuTest;
using testing::random_floats;
using testing::repeats;
using testing::rounded;
using testing::to_gpu;
using testing::token_counts;

constexpr int kMostTokens = 200;

// Whole numbers in [-reach, reach].
std::vector<float> integers(std::int64_t n, int reach, std::uint32_t seed) {
  std::vector<float> values(static_cast<std::size_t>(n));
  std::uint32_t state = seed * 2654435761u + 12345u;
  for (float& value : values) {
    state = state * 1664525u + 1013904223u;
    value = static_cast<float>(static_cast<int>((state >> 8) % unsigned(2 * reach + 1)) - reach);
  }
  return values;
}

std::vector<float> host_product(std::vector<float>& x, std::vector<float>& w, std::int64_t tokens,
                                std::int64_t out, std::int64_t in) {
  std::vector<float> y(std::size_t(tokens * out));
  gemm(testing::host_exec(std::max(1, int(std::thread::hardware_concurrency()))),
       {.x = testing::view_of(x, {tokens, in}),
        .weight = {testing::view_of(w, {out, in})},
        .y = testing::view_of(y, {tokens, out})});
  return y;
}

// What is on the device before a kernel writes there.
GpuArray poisoned(Device& device, DType dtype, std::int64_t rows, std::int64_t columns) {
  return to_gpu(
      device, dtype, {rows, columns},
      std::vector<float>(std::size_t(rows * columns), std::numeric_limits<float>::quiet_NaN()));
}

struct Case {
  DType dtype;
  std::int64_t out;
  std::int64_t in;
};

std::ostream& operator<<(std::ostream& os, const Case& c) {
  return os << name_of(c.dtype) << " [" << c.out << ", " << c.in << "]";
}

std::vector<std::int64_t> counts_for(const Case& c) {
  if (c.out * c.in > 8'000'000) {
    return token_counts({1, 8, 16, 33});
  }
  return token_counts({1, 2, 3, 5, 8, 9, 13, 16, 17, 33, 64, kMostTokens});
}

class GemmCudaTest : public GpuTest {
 protected:
  void TearDown() override {
    if (!IsSkipped()) {
      exec().ops->tune({});
    }
  }
  // y with `pad` poisoned columns on both sides, as a dense array's bits.
  static std::vector<float> run(const TensorView& x, const Weight& weight, const TensorView& bias,
                                DType y_dtype, std::int64_t pad = 0) {
    const std::int64_t width = weight.out() + 2 * pad;
    const GpuArray y = poisoned(device(), y_dtype, x.rows(), width);
    gemm(exec(), {.x = x,
                  .weight = weight,
                  .bias = bias,
                  .y = y.view.column_slice({pad, pad + weight.out()})});
    device().synchronize();
    return floats_of(device(), y.view);
  }
};

class GemmCudaShapeTest : public GemmCudaTest, public ::testing::WithParamInterface<Case> {};

TEST_P(GemmCudaShapeTest, SumsOfIntegersAreExact) {
  const Case c = GetParam();
  std::vector<float> w = integers(c.out * c.in, 3, 1);
  const std::int64_t most = counts_for(c).back();
  std::vector<float> x = integers(most * c.in, 2, 2);
  const std::vector<float> sums = host_product(x, w, most, c.out, c.in);
  const std::vector<float> bias = integers(c.out, 50, 3);
  const GpuArray weight = to_gpu(device(), c.dtype, {c.out, c.in}, w);
  const GpuArray all = to_gpu(device(), c.dtype, {most, c.in}, x);
  const GpuArray biases = to_gpu(device(), DType::f32, {c.out}, bias);
  for (const std::int64_t tokens : counts_for(c)) {
    for (const DType y_dtype : {c.dtype, DType::f32}) {
      for (const bool with_bias : {false, true}) {
        const std::vector<float> y = run(all.view.row_slice({0, tokens}), {weight.view},
                                         with_bias ? biases.view : TensorView(), y_dtype);
        for (std::int64_t i = 0; i < tokens * c.out; ++i) {
          const float sum = sums[std::size_t(i)];
          const float add = with_bias ? bias[std::size_t(i % c.out)] : 0.0f;
          const float wanted = rounded(y_dtype, {sum + add})[0];
          // The library rounds before the bias is added, too.
          const float twice = rounded(y_dtype, {rounded(y_dtype, {sum})[0] + add})[0];
          const float found = y[std::size_t(i)];
          ASSERT_TRUE(found == wanted || (tokens > 16 && found == twice))
              << c << ", " << tokens << " tokens, y " << name_of(y_dtype) << ", bias " << with_bias
              << ": token " << i / c.out << ", row " << i % c.out << " is " << found << ", wanted "
              << wanted;
        }
      }
    }
  }
}

std::vector<Case> shapes() {
  std::vector<Case> cases;
  for (const DType dtype : {DType::bf16, DType::f16, DType::f32}) {
    for (const auto& [out, in] : std::vector<std::pair<int, int>>{{1, 8},
                                                                  {7, 24},
                                                                  {33, 64},
                                                                  {33, 100},
                                                                  {7, 576},
                                                                  {576, 576},
                                                                  {1, 4096},
                                                                  {33, 11008},
                                                                  {133, 192},
                                                                  {576, 1536},
                                                                  {577, 320},
                                                                  {300, 1000},
                                                                  {265, 33},
                                                                  {4300, 104},
                                                                  {9001, 192}}) {
      cases.push_back({dtype, out, in});
    }
  }
  cases.push_back({DType::bf16, 4096, 4096});
  cases.push_back({DType::bf16, 4096, 11008});
  cases.push_back({DType::f32, 4096, 2048});
  return cases;
}
INSTANTIATE_TEST_SUITE_P(Shapes, GemmCudaShapeTest, ::testing::ValuesIn(shapes()));

TEST_F(GemmCudaTest, AgreesWithTheHostOnAnyNumbers) {
  for (const DType dtype : {DType::bf16, DType::f16, DType::f32}) {
    for (const std::int64_t in : {100, 4096}) {
      const std::int64_t out = 300;
      const std::int64_t most = 40;
      std::vector<float> w = rounded(dtype, random_floats(out * in, 1));
      std::vector<float> x = rounded(dtype, random_floats(most * in, 2));
      const std::vector<float> wanted = host_product(x, w, most, out, in);
      std::vector<float> w_sizes = w;
      std::vector<float> x_sizes = x;
      for (float& v : w_sizes) v = std::abs(v);
      for (float& v : x_sizes) v = std::abs(v);
      const std::vector<float> sizes = host_product(x_sizes, w_sizes, most, out, in);
      const GpuArray weight = to_gpu(device(), dtype, {out, in}, w);
      const GpuArray all = to_gpu(device(), dtype, {most, in}, x);
      for (const std::int64_t tokens : token_counts({1, 7, 16, 40})) {
        const std::vector<float> y =
            run(all.view.row_slice({0, tokens}), {weight.view}, {}, DType::f32);
        for (std::size_t i = 0; i < y.size(); ++i) {
          // As on the host: at most n roundings of 2^-24 of the sum of the magnitudes, of which
          // n / 8 + 16 is far more than happens; tensor cores cut off instead of rounding (twice
          // that), but only once for 16 elements.
          ASSERT_NEAR(y[i], wanted[i], (double(in) / 8 + 16) * 0x1p-24 * double(sizes[i]))
              << name_of(dtype) << " in " << in << ", " << tokens << " tokens: token "
              << i / std::size_t(out) << ", row " << i % std::size_t(out);
        }
      }
    }
  }
}

// Up to 16 tokens the order of a sum depends on the row's length alone.
TEST_F(GemmCudaTest, AFewTokensHaveTheSameBitsAloneTogetherAndForAnyPartOfTheRows) {
  for (const std::int64_t out : {500, 2300, 9000}) {
    const std::int64_t in = 1096;
    const GpuArray weight = to_gpu(device(), DType::bf16, {out, in}, random_floats(out * in, 1));
    const GpuArray x = to_gpu(device(), DType::bf16, {16, in}, random_floats(16 * in, 2));
    const std::vector<float> together = run(x.view, {weight.view}, {}, DType::f32);
    for (const auto& [begin, end] : {Range{0, 1}, Range{3, 4}, Range{2, 10}, Range{5, 16}}) {
      const std::vector<float> some =
          run(x.view.row_slice({begin, end}), {weight.view}, {}, DType::f32);
      for (std::size_t i = 0; i < some.size(); ++i) {
        ASSERT_EQ(some[i], together[std::size_t(begin * out) + i])
            << "tokens " << begin << ".." << end << ": token " << i / std::size_t(out) << ", row "
            << i % std::size_t(out) << " of " << out;
      }
    }
    const Range part = {out / 3, out};
    const std::vector<float> rows = run(x.view, {weight.view.row_slice(part)}, {}, DType::f32);
    for (std::int64_t t = 0; t < 16; ++t) {
      for (std::int64_t o = part.begin; o < part.end; ++o) {
        ASSERT_EQ(rows[std::size_t(t * part.size() + o - part.begin)],
                  together[std::size_t(t * out + o)])
            << "token " << t << ", row " << o << " of " << out;
      }
    }
  }
}

TEST_F(GemmCudaTest, RepeatedCallsGiveTheSameBitsHoweverTheyOverlap) {
  const std::int64_t out = 2000;
  const std::int64_t in = 3000;
  for (const DType dtype : {DType::bf16, DType::f32}) {
    const GpuArray weight = to_gpu(device(), dtype, {out, in}, random_floats(out * in, 1));
    const GpuArray x = to_gpu(device(), dtype, {33, in}, random_floats(33 * in, 2));
    for (const std::int64_t tokens : token_counts({1, 8, 16, 33})) {
      const TensorView some = x.view.row_slice({0, tokens});
      const std::vector<float> first = run(some, {weight.view}, {}, dtype);
      for (const GemmTuning& tuning :
           {GemmTuning{}, GemmTuning{.release_ahead = 0}, GemmTuning{.release_ahead = 1 << 20},
            GemmTuning{.prefetch_bytes = 0}, GemmTuning{.prefetch_bytes = 8 << 20},
            GemmTuning{.dependent_launch = false}}) {
        exec().ops->tune(tuning);
        EXPECT_EQ(run(some, {weight.view}, {}, dtype), first)
            << name_of(dtype) << ", " << tokens << " tokens, release " << tuning.release_ahead
            << ", prefetch " << tuning.prefetch_bytes << ", overlap " << tuning.dependent_launch;
      }
    }
  }
}

// Row strides that keep vectors aligned, and such that do not.
TEST_F(GemmCudaTest, TakesStridedRows) {
  const std::int64_t out = 77;
  const std::int64_t in = 200;
  for (const DType dtype : {DType::bf16, DType::f16, DType::f32}) {
    for (const std::int64_t pad : {8, 3}) {
      const std::int64_t width = in + 2 * pad;
      std::vector<float> w_wide = integers(out * width, 3, 1);
      std::vector<float> x_wide = integers(40 * width, 2, 2);
      std::vector<float> w;
      std::vector<float> x;
      for (std::int64_t r = 0; r < out; ++r) {
        w.insert(w.end(), w_wide.begin() + r * width + pad, w_wide.begin() + r * width + pad + in);
      }
      for (std::int64_t t = 0; t < 40; ++t) {
        x.insert(x.end(), x_wide.begin() + t * width + pad, x_wide.begin() + t * width + pad + in);
      }
      const std::vector<float> sums = host_product(x, w, 40, out, in);
      const GpuArray weight = to_gpu(device(), dtype, {out, width}, w_wide);
      const GpuArray all = to_gpu(device(), dtype, {40, width}, x_wide);
      for (const std::int64_t tokens : token_counts({1, 6, 16, 40})) {
        const std::vector<float> y =
            run(all.view.row_slice({0, tokens}).column_slice({pad, pad + in}),
                {weight.view.column_slice({pad, pad + in})}, {}, dtype, 5);
        for (std::int64_t t = 0; t < tokens; ++t) {
          for (std::int64_t o = -5; o < out + 5; ++o) {
            const float found = y[std::size_t(t * (out + 10) + o + 5)];
            const auto where = ::testing::Message()
                               << name_of(dtype) << " pad " << pad << ", " << tokens
                               << " tokens: token " << t << ", row " << o << " is " << found;
            if (o < 0 || o >= out) {
              ASSERT_TRUE(std::isnan(found)) << where << ", wanted nothing there";
            } else {
              ASSERT_EQ(found, rounded(dtype, {sums[std::size_t(t * out + o)]})[0]) << where;
            }
          }
        }
      }
    }
  }
}

// Products that each take the one before's result, as fast as the device can: one that does not
// wait for its predecessor, or is overtaken, shows. Signed permutations keep the numbers as they
// are.
TEST_F(GemmCudaTest, AChainInARecordedGraphWaitsForEachPredecessor) {
  const std::int64_t n = 1536;
  constexpr int kLinks = 12;
  for (const std::int64_t tokens : token_counts({1, 16, 24})) {
    std::vector<GpuArray> weights;
    std::vector<float> wanted = integers(tokens * n, 100, 9);
    const GpuArray x = to_gpu(device(), DType::bf16, {tokens, n}, wanted);
    for (int link = 0; link < kLinks; ++link) {
      std::vector<float> w(std::size_t(n * n), 0.0f);
      std::vector<float> next(wanted.size());
      for (std::int64_t o = 0; o < n; ++o) {
        const std::int64_t from = (o * 5 + 7 * link + 1) % n;  // 5 and n have no common divisor
        const float sign = (o + link) % 3 == 0 ? -1.0f : 1.0f;
        w[std::size_t(o * n + from)] = sign;
        for (std::int64_t t = 0; t < tokens; ++t) {
          next[std::size_t(t * n + o)] = sign * wanted[std::size_t(t * n + from)];
        }
      }
      weights.push_back(to_gpu(device(), DType::bf16, {n, n}, w));
      wanted = next;
    }
    const GpuArray a = poisoned(device(), DType::bf16, tokens, n);
    const GpuArray b = poisoned(device(), DType::bf16, tokens, n);
    const auto work = [&] {
      for (int link = 0; link < kLinks; ++link) {
        gemm(exec(), {.x = link == 0       ? x.view
                           : link % 2 == 1 ? a.view
                                           : b.view,
                      .weight = {weights[std::size_t(link)].view},
                      .y = link % 2 == 0 ? a.view : b.view});
      }
    };
    work();  // what is tuned at first use, is here
    const auto graph = device().record(work);
    for (int repeat = 0; repeat < repeats(30); ++repeat) {
      graph->replay();
    }
    device().synchronize();
    EXPECT_EQ(floats_of(device(), b.view), wanted) << tokens << " tokens, replayed";
    for (int repeat = 0; repeat < repeats(10); ++repeat) {
      work();
    }
    device().synchronize();
    EXPECT_EQ(floats_of(device(), b.view), wanted) << tokens << " tokens, called";
  }
}

TEST_F(GemmCudaTest, MayBeRecordedBeforeItWasEverCalled) {
  for (const std::int64_t tokens : token_counts({2, 48})) {
    const std::int64_t out = 96;
    const std::int64_t in = 136;
    std::vector<float> w = integers(out * in, 3, 1);
    std::vector<float> values = integers(tokens * in, 2, 2);
    const std::vector<float> wanted = host_product(values, w, tokens, out, in);
    const GpuArray weight = to_gpu(device(), DType::f16, {out, in}, w);
    const GpuArray x = to_gpu(device(), DType::f16, {tokens, in}, values);
    const GpuArray y = poisoned(device(), DType::f32, tokens, out);
    const auto graph =
        device().record([&] { gemm(exec(), {.x = x.view, .weight = {weight.view}, .y = y.view}); });
    graph->replay();
    device().synchronize();
    EXPECT_EQ(floats_of(device(), y.view), wanted) << tokens << " tokens";
  }
}

TEST_F(GemmCudaTest, RefusesTypesThatDisagree) {
  const GpuArray weight = gpu_array(device(), DType::bf16, {8, 16});
  const GpuArray x = gpu_array(device(), DType::f16, {1, 16});
  const GpuArray y = gpu_array(device(), DType::bf16, {1, 8});
  EXPECT_THROW(gemm(exec(), {.x = x.view, .weight = {weight.view}, .y = y.view}), ConfigError);
}

}  // namespace
}  // namespace tutti
