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
    for (int i = 0; i < c.head_dim / 2; ++i) {
      inv_freq.push_back(1.0f / std::pow(10000.0f, 2.0f * float(i) / float(c.head_dim)));
    }
  }

  RopeAppendArgs args() {
    return {.qkv = view_of(qkv, {c.tokens, (c.q_heads + 2 * c.kv_heads) * c.head_dim}),
            .positions = view_of(positions, {c.tokens}),
            .slots = view_of(slots, {c.tokens}),
            .inv_freq = view_of(inv_freq, {c.head_dim / 2}),
            .magnitude = c.magnitude,
            .q_heads = c.q_heads,
            .kv_heads = c.kv_heads,
            .head_dim = c.head_dim,
            .k_pages = view_of(k, {pages, c.kv_heads, c.page_size, c.head_dim}),
            .v_pages = view_of(v, {pages, c.kv_heads, c.page_size, c.head_dim})};
  }

  Case c;
  int pages;
  std::vector<float> qkv, k, v, inv_freq;
  std::vector<std::int32_t> positions, slots;
};

// Element i of the head, rotated in double; the angle is the f32 product by definition.
double rotated(const Step& step, const float* head, int token, int i) {
  const int half = step.c.head_dim / 2;
  const int pair = i % half;
  const double angle = float(step.positions[std::size_t(token)]) * step.inv_freq[std::size_t(pair)];
  const double c = std::cos(angle) * step.c.magnitude;
  const double s = std::sin(angle) * step.c.magnitude;
  return i < half ? head[i] * c - head[i + half] * s : head[i] * c + head[i - half] * s;
}

class RopeTest : public ::testing::TestWithParam<Case> {};

TEST_P(RopeTest, RotatesQueriesInPlaceAndAppendsToTheSlots) {
  const Case c = GetParam();
  Step step(c);
  const std::vector<float> before = step.qkv;
  rope_append(host_exec(c.threads), step.args());
  const std::size_t width = static_cast<std::size_t>((c.q_heads + 2 * c.kv_heads) * c.head_dim);
  // |head| <= 1: two products, a sum and the roundings of cos and sin, times the magnitude.
  const double tolerance = 8 * 0x1p-24 * c.magnitude;
  for (int t = 0; t < c.tokens; ++t) {
    const float* row = &before[static_cast<std::size_t>(t) * width];
    for (int h = 0; h < c.q_heads; ++h) {
      for (int i = 0; i < c.head_dim; ++i) {
        const std::size_t at = static_cast<std::size_t>(h * c.head_dim + i);
        ASSERT_NEAR(step.qkv[static_cast<std::size_t>(t) * width + at],
                    rotated(step, row + h * c.head_dim, t, i), tolerance);
      }
    }
    const int slot = step.slots[std::size_t(t)];
    for (int h = 0; h < c.kv_heads; ++h) {
      const int page_row = (slot / c.page_size * c.kv_heads + h) * c.page_size + slot % c.page_size;
      for (int i = 0; i < c.head_dim; ++i) {
        const std::size_t at = static_cast<std::size_t>(page_row * c.head_dim + i);
        ASSERT_NEAR(step.k[at], rotated(step, row + (c.q_heads + h) * c.head_dim, t, i), tolerance);
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
