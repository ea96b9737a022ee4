#include "kernels/rope.hpp"

#include <gtest/gtest.h>

#include "kernels/error.hpp"
#include "tests/kernels/kernel_fixture.hpp"

namespace tutti {
namespace {

using testing::host_exec;
using testing::random_floats;
using testing::view_of;

struct Case {
  int tokens;
  int q_heads;
  int kv_heads;
  int head_dim;
  int page_size;
  int threads;
  float magnitude;
  int rotary = -1;  // elements of a head that are rotated; -1: all
  enum { none, per_head, over_heads } norm = none;
  int dims() const { return rotary < 0 ? head_dim : rotary; }
};

// One step's buffers: tokens at scattered positions and slots.
struct Step {
  explicit Step(const Case& c_in) : c(c_in) {
    const int width = (c.q_heads + 2 * c.kv_heads) * c.head_dim;
    qkv = random_floats(c.tokens * width, 1);
    pages = c.tokens / c.page_size + 3;
    k.assign(static_cast<std::size_t>(pages * c.kv_heads * c.page_size * c.head_dim), 0.5f);
    v = k;
    for (int t = 0; t < c.tokens; ++t) {
      positions.push_back(t * 37);
      slots.push_back((t + 5) % (pages * c.page_size));
    }
    for (int i = 0; i < c.dims() / 2; ++i) {
      inv_freq.push_back(1.0f / std::pow(10000.0f, 2.0f * float(i) / float(c.dims())));
    }
    const bool whole = c.norm == Case::over_heads;
    q_weight = random_floats((whole ? c.q_heads : 1) * c.head_dim, 2);
    k_weight = random_floats((whole ? c.kv_heads : 1) * c.head_dim, 3);
    squares = random_floats(c.tokens * 2, 4);
    for (float& square : squares) {
      square = 100.0f * (1.5f + square);
    }
  }

  RopeNorm norm() {
    if (c.norm == Case::none) {
      return {};
    }
    const bool whole = c.norm == Case::over_heads;
    return {.q_weight = view_of(q_weight, {std::int64_t(q_weight.size())}),
            .k_weight = view_of(k_weight, {std::int64_t(k_weight.size())}),
            .eps = 1e-5f,
            .squares = whole ? view_of(squares, {c.tokens, 2}) : TensorView(),
            .q_width = 700,
            .k_width = 300};
  }

  // A head of a token, normalised in double.
  std::vector<double> normed(const float* head, int token, int number, bool key) const {
    std::vector<double> values(head, head + c.head_dim);
    if (c.norm == Case::none) {
      return values;
    }
    const std::vector<float>& weight = key ? k_weight : q_weight;
    const bool whole = c.norm == Case::over_heads;
    double mean = 0;
    for (const double value : values) {
      mean += value * value / c.head_dim;
    }
    mean = whole ? squares[std::size_t(2 * token + key)] / (key ? 300.0 : 700.0) : mean;
    for (int i = 0; i < c.head_dim; ++i) {
      const int at = whole ? number * c.head_dim + i : i;
      values[std::size_t(i)] *= weight[std::size_t(at)] / std::sqrt(mean + double{1e-5f});
    }
    return values;
  }

  RopeAppendArgs args() {
    return {.qkv = view_of(qkv, {c.tokens, (c.q_heads + 2 * c.kv_heads) * c.head_dim}),
            .positions = view_of(positions, {c.tokens}),
            .slots = view_of(slots, {c.tokens}),
            .inv_freq = c.dims() == 0 ? TensorView() : view_of(inv_freq, {c.dims() / 2}),
            .magnitude = c.magnitude,
            .norm = norm(),
            .q_heads = c.q_heads,
            .kv_heads = c.kv_heads,
            .head_dim = c.head_dim,
            .k_pages = view_of(k, {pages, c.kv_heads, c.page_size, c.head_dim}),
            .v_pages = view_of(v, {pages, c.kv_heads, c.page_size, c.head_dim})};
  }

  Case c;
  int pages;
  std::vector<float> qkv, k, v, inv_freq, q_weight, k_weight, squares;
  std::vector<std::int32_t> positions, slots;
};

// Element i of the head, rotated in double; the angle is the f32 product by definition.
double rotated(const Step& step, const std::vector<double>& head, int token, int i) {
  const int half = step.c.dims() / 2;
  if (i >= 2 * half) {
    return head[std::size_t(i)];
  }
  const int pair = i % half;
  const double angle = float(step.positions[std::size_t(token)]) * step.inv_freq[std::size_t(pair)];
  const double c = std::cos(angle) * step.c.magnitude;
  const double s = std::sin(angle) * step.c.magnitude;
  return i < half ? head[std::size_t(i)] * c - head[std::size_t(i + half)] * s
                  : head[std::size_t(i)] * c + head[std::size_t(i - half)] * s;
}

class RopeTest : public ::testing::TestWithParam<Case> {};

TEST_P(RopeTest, RotatesQueriesInPlaceAndAppendsToTheSlots) {
  const Case c = GetParam();
  Step step(c);
  const std::vector<float> before = step.qkv;
  rope_append(host_exec(c.threads), step.args());
  const std::size_t width = static_cast<std::size_t>((c.q_heads + 2 * c.kv_heads) * c.head_dim);
  // |head| <= 1, or a few after a norm, which costs 9 roundings: two products, a sum and the
  // roundings of cos and sin, times the magnitude.
  const double tolerance = (c.norm == Case::none ? 8 : 100) * 0x1p-24 * c.magnitude;
  for (int t = 0; t < c.tokens; ++t) {
    const float* row = &before[static_cast<std::size_t>(t) * width];
    for (int h = 0; h < c.q_heads; ++h) {
      const std::vector<double> head = step.normed(row + h * c.head_dim, t, h, false);
      for (int i = 0; i < c.head_dim; ++i) {
        const std::size_t at = static_cast<std::size_t>(h * c.head_dim + i);
        ASSERT_NEAR(step.qkv[static_cast<std::size_t>(t) * width + at], rotated(step, head, t, i),
                    tolerance);
      }
    }
    const int slot = step.slots[std::size_t(t)];
    for (int h = 0; h < c.kv_heads; ++h) {
      const int page_row = (slot / c.page_size * c.kv_heads + h) * c.page_size + slot % c.page_size;
      const std::vector<double> head = step.normed(row + (c.q_heads + h) * c.head_dim, t, h, true);
      for (int i = 0; i < c.head_dim; ++i) {
        const std::size_t at = static_cast<std::size_t>(page_row * c.head_dim + i);
        ASSERT_NEAR(step.k[at], rotated(step, head, t, i), tolerance);
        ASSERT_EQ(step.v[at], row[(c.q_heads + c.kv_heads + h) * c.head_dim + i]);
      }
    }
  }
}

TEST_P(RopeTest, LeavesOtherSlotsAlone) {
  const Case c = GetParam();
  Step step(c);
  rope_append(host_exec(c.threads), step.args());
  std::size_t untouched = 0;
  for (float value : step.k) {
    untouched += value == 0.5f;
  }
  EXPECT_GE(untouched, step.k.size() - std::size_t(c.tokens * c.kv_heads * c.head_dim));
}

INSTANTIATE_TEST_SUITE_P(Shapes, RopeTest,
                         ::testing::Values(Case{1, 9, 3, 64, 16, 1, 1},
                                           Case{90, 9, 3, 64, 16, 2, 1},
                                           Case{4, 2, 1, 40, 4, 1, 1.25f},
                                           Case{7, 1, 2, 128, 1, 2, 1}, Case{3, 3, 1, 6, 8, 1, 1},
                                           Case{0, 2, 2, 32, 16, 1, 1}));

// Parts of heads, none of them, and norms of heads or of all.
INSTANTIATE_TEST_SUITE_P(Extras, RopeTest,
                         ::testing::Values(Case{20, 4, 2, 64, 16, 2, 1, 16},
                                           Case{5, 3, 1, 80, 4, 1, 1.5f, 20},
                                           Case{7, 2, 2, 32, 8, 1, 1, 0},
                                           Case{40, 4, 2, 128, 16, 2, 1, -1, Case::per_head},
                                           Case{5, 3, 1, 20, 16, 1, 1, 6, Case::per_head},
                                           Case{9, 4, 3, 64, 16, 1, 1, -1, Case::over_heads},
                                           Case{3, 2, 1, 36, 8, 2, 1, 0, Case::over_heads}));

TEST(RopeErrorTest, NamesASlotOutsideThePages) {
  Step step({4, 2, 1, 32, 16, 1, 1});
  step.slots[2] = 16 * step.pages;
  EXPECT_THROW(rope_append(host_exec(1), step.args()), ConfigError);
}

TEST(RopeErrorTest, RefusesARowOfAnotherWidth) {
  Step step({4, 2, 1, 32, 16, 1, 1});
  RopeAppendArgs args = step.args();
  args.q_heads = 3;
  EXPECT_THROW(rope_append(host_exec(1), args), ConfigError);
}

}  // namespace
}  // namespace tutti
