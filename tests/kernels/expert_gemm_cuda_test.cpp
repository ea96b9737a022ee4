// Experts' products on a device against the host's, for few tokens and for many.
#include <gtest/gtest.h>

#include "kernels/expert_gemm.hpp"
#include "kernels/gemm.hpp"
#include "tests/kernels/moe_gpu.hpp"

namespace tutti {
namespace {

using testing::GpuArray;
using testing::to_gpu;
using testing::view_of;

struct Shape {
  int tokens;
  int all;
  int top_k;
  int first;
  int experts;
  std::int64_t in;
  std::int64_t columns;
};

class ExpertGemmCudaTest : public testing::GpuTest {
 protected:
  // Weights that no pair wants are NaN; rows of other ranks' pairs stay as they are.
  static void agrees(const Shape& s, DType dtype, bool gated, bool pair_rows, Activation kind) {
    testing::MoeBatch batch(s.tokens, s.all, s.top_k, s.first, s.experts);
    const std::int64_t rows = (gated ? 2 : 1) * s.columns;
    const std::int64_t x_rows = pair_rows ? batch.pairs() : s.tokens;
    std::vector<float> w = testing::random_floats(s.experts * rows * s.in, 1);
    for (float& v : w) {
      v *= 3.0f / std::sqrt(static_cast<float>(s.in));
    }
    w = testing::rounded(dtype, std::move(w));
    std::vector<float> x = testing::rounded(dtype, testing::random_floats(x_rows * s.in, 2));
    std::vector<float> y(static_cast<std::size_t>(batch.pairs() * s.columns), -3.0f);
    std::vector<float> gpu_w = w;
    for (std::int64_t e = 0; e < s.experts; ++e) {
      if (batch.begin[std::size_t(e)] == batch.begin[std::size_t(e + 1)]) {
        std::fill_n(gpu_w.begin() + e * rows * s.in, rows * s.in, std::nanf(""));
      }
    }
    const GpuArray weights = to_gpu(device(), dtype, {s.experts, rows, s.in}, gpu_w);
    const GpuArray from = to_gpu(device(), dtype, {x_rows, s.in}, x);
    const GpuArray to = to_gpu(device(), dtype, {batch.pairs(), s.columns}, y);
    const testing::GpuGroups groups(device(), batch);
    const ExpertGemmArgs args{.x = from.view,
                              .weights = weights.view,
                              .groups = groups.groups(),
                              .gated = gated,
                              .kind = kind,
                              .y = to.view};
    expert_gemm(exec(), args);
    Exec host = testing::host_exec(4);
    std::vector<std::byte> scratch(gemm_scratch_bytes(s.in, host.threads));
    host.scratch = {.data = scratch.data(), .bytes = scratch.size()};
    expert_gemm(host, {.x = view_of(x, {x_rows, s.in}),
                       .weights = view_of(w, {s.experts, rows, s.in}),
                       .groups = batch.groups(),
                       .gated = gated,
                       .kind = kind,
                       .y = view_of(y, {batch.pairs(), s.columns})});
    // Sums of `in` products of random signs, of magnitude 1 / sqrt(in) each and sqrt(in) in all, to
    // in / 8 roundings on either side; y, of a few units, is rounded once.
    const double sum = 3 * std::sqrt(double(s.in)) * (double(s.in) / 4 + 32) * 0x1p-24;
    testing::expect_near_all(
        std::string(name_of(dtype)) + " tokens " + std::to_string(s.tokens) + " experts " +
            std::to_string(s.experts) + " in " + std::to_string(s.in) + " columns " +
            std::to_string(s.columns) + (gated ? " gated" : "") + (pair_rows ? " pairs" : ""),
        testing::floats_of(device(), to.view), {y.begin(), y.end()}, [&](double wanted) {
          return (gated ? 12 : 1) * sum + testing::unit_roundoff(dtype) * std::abs(wanted) +
                 0x1p-24;
        });
    const std::vector<std::byte> before = testing::bytes_of(device(), to.view);
    expert_gemm(exec(), args);
    EXPECT_TRUE(before == testing::bytes_of(device(), to.view)) << "other bits at repetition";
  }
};

constexpr Shape kShapes[] = {
    {1, 16, 4, 0, 16, 256, 96},    {5, 16, 4, 3, 9, 2048, 70},  {16, 8, 2, 0, 8, 100, 33},
    {300, 8, 2, 0, 8, 256, 192},   {200, 4, 2, 1, 2, 104, 65},  {700, 16, 4, 3, 9, 64, 17},
    {150, 8, 3, 0, 8, 45, 13},     {40, 60, 4, 0, 60, 128, 64}, {1, 128, 8, 0, 128, 768, 50},
    {1, 128, 8, 40, 24, 2048, 19}, {1, 8, 2, 7, 1, 512, 24},    {1, 8, 2, 0, 8, 100, 9},
    {2, 16, 4, 0, 16, 768, 40},    {17, 8, 2, 0, 8, 800, 24}};

TEST_F(ExpertGemmCudaTest, MultipliesAsTheHost) {
  for (const DType dtype : {DType::bf16, DType::f16, DType::f32}) {
    for (const Shape& s : kShapes) {
      agrees(s, dtype, true, false, Activation::silu);
      agrees(s, dtype, false, true, Activation::silu);
    }
    agrees(kShapes[0], dtype, true, true, Activation::gelu_tanh);
    agrees(kShapes[3], dtype, true, true, Activation::gelu_erf);
    agrees(kShapes[3], dtype, true, false, Activation::relu);
    agrees(kShapes[4], dtype, false, false, Activation::silu);
  }
}

// Up to 16 tokens: alone a token takes a kernel of its own.
TEST_F(ExpertGemmCudaTest, ATokenHasTheSameBitsAloneAndInCompany) {
  constexpr std::int64_t kTokens = 16;
  constexpr int kTopK = 3;
  constexpr std::int64_t kExperts = 5;  // so that many share one
  constexpr std::int64_t kColumns = 70;
  for (const std::int64_t in : {96, 768, 2056, 45}) {
    testing::MoeBatch batch(kTokens, 7, kTopK, 1, kExperts);
    const GpuArray weights = to_gpu(device(), DType::bf16, {kExperts, 2 * kColumns, in},
                                    testing::random_floats(kExperts * 2 * kColumns * in, 1));
    const GpuArray x =
        to_gpu(device(), DType::bf16, {kTokens, in}, testing::random_floats(kTokens * in, 2));
    const auto run = [&](testing::MoeBatch& of, const TensorView& rows) {
      const testing::GpuGroups groups(device(), of);
      const GpuArray y = testing::poisoned(device(), DType::bf16, {of.pairs(), kColumns});
      expert_gemm(exec(), {.x = rows,
                           .weights = weights.view,
                           .groups = groups.groups(),
                           .gated = true,
                           .y = y.view});
      return testing::bytes_of(device(), y.view);
    };
    const std::vector<std::byte> all = run(batch, x.view);
    for (std::int64_t t = 0; t < kTokens; ++t) {
      testing::MoeBatch one(1, 7, kTopK, 1, kExperts);
      std::copy_n(batch.ids.begin() + kTopK * t, kTopK, one.ids.begin());
      one.group();
      const std::vector<std::byte> y = run(one, x.view.row_slice({t, t + 1}));
      EXPECT_TRUE(std::equal(y.begin(), y.end(), all.begin() + t * std::ssize(y)))
          << "token " << t << ", in " << in;
    }
  }
}

// Layers as a step has them, one after another in the same groups, as fast as the device can: a
// product that took the groups of the layer before, or its x too early, shows.
TEST_F(ExpertGemmCudaTest, ProductsOfSettledGroupsReadThoseOfTheirOwnLayer) {
  constexpr int kLayers = 12;
  constexpr std::int64_t kExperts = 8;
  constexpr int kTopK = 2;
  constexpr std::int64_t kHidden = 256;
  for (const std::int64_t columns : {768, 100}) {  // 100: down takes another kernel than the gate
    const GpuArray in = to_gpu(device(), DType::bf16, {kExperts, 2 * columns, kHidden},
                               testing::random_floats(kExperts * 2 * columns * kHidden, 1));
    const GpuArray down = to_gpu(device(), DType::bf16, {kExperts, kHidden, columns},
                                 testing::random_floats(kExperts * kHidden * columns, 2));
    for (const std::int64_t tokens : {1, 2, 16, 17, 300}) {
      const std::int64_t pairs = tokens * kTopK;
      const GpuArray x = to_gpu(device(), DType::bf16, {tokens, kHidden},
                                testing::random_floats(tokens * kHidden, 3));
      const GpuArray ids = testing::poisoned(device(), DType::i32, {tokens, kTopK});
      const GpuArray weights = testing::poisoned(device(), DType::f32, {tokens, kTopK});
      const GpuArray gated = testing::poisoned(device(), DType::bf16, {pairs, columns});
      const testing::GpuGroups groups(device(), tokens, kTopK, kExperts);
      std::vector<GpuArray> logits, fast, slow;
      for (int layer = 0; layer < kLayers; ++layer) {
        logits.push_back(to_gpu(device(), DType::f32, {tokens, kExperts},
                                testing::random_floats(tokens * kExperts, unsigned(10 + layer))));
        fast.push_back(testing::poisoned(device(), DType::bf16, {pairs, kHidden}));
        slow.push_back(testing::poisoned(device(), DType::bf16, {pairs, kHidden}));
      }
      const auto work = [&](std::vector<GpuArray>& y, bool wait) {
        for (int layer = 0; layer < kLayers; ++layer) {
          moe_route_and_group(
              exec(),
              {.logits = logits[std::size_t(layer)].view, .ids = ids.view, .weights = weights.view},
              0, groups.groups());
          expert_gemm(exec(), {.x = x.view,
                               .weights = in.view,
                               .groups = groups.groups(),
                               .gated = true,
                               .y = gated.view});
          if (wait) {
            device().synchronize();
          }
          expert_gemm(exec(), {.x = gated.view,
                               .weights = down.view,
                               .groups = groups.groups(),
                               .groups_settled = !wait,
                               .y = y[std::size_t(layer)].view});
        }
      };
      work(slow, true);
      const auto graph = device().record([&] { work(fast, false); });
      for (int repeat = 0; repeat < testing::repeats(20); ++repeat) {
        graph->replay();
      }
      for (int layer = 0; layer < kLayers; ++layer) {
        EXPECT_TRUE(testing::bytes_of(device(), fast[std::size_t(layer)].view) ==
                    testing::bytes_of(device(), slow[std::size_t(layer)].view))
            << tokens << " tokens, " << columns << " columns, layer " << layer;
      }
    }
  }
}

}  // namespace
}  // namespace tutti
