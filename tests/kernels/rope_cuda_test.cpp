#include <gtest/gtest.h>

#include "kernels/rope.hpp"
#include "tests/kernels/kernel_fixture.hpp"
#include "tests/support/gpu_compare.hpp"

namespace tutti {
namespace {

using testing::GpuArray;
using testing::to_gpu;

struct Case {
  int tokens;
  int q_heads;
  int kv_heads;
  int head_dim;
  int page_size;
  float magnitude;
};

class RopeCudaTest : public testing::GpuTest {
 protected:
  // One step: scattered positions up to 131,071 and slots, every fifth token padding.
  struct Step {
    Step(const Case& c_in, DType dtype) : c(c_in) {
      width = (c.q_heads + 2 * c.kv_heads) * c.head_dim;
      pages = c.tokens / c.page_size + 3;
      qkv = testing::rounded(dtype, testing::random_floats(c.tokens * width, 1));
      for (int t = 0; t < c.tokens; ++t) {
        positions.push_back(t % 3 == 0 ? 131071 - t : t * 37);
        slots.push_back(t % 5 == 4 ? -1 : (t + 5) % (pages * c.page_size));
      }
      for (int i = 0; i < c.head_dim / 2; ++i) {
        inv_freq.push_back(1.0f / std::pow(10000.0f, 2.0f * float(i) / float(c.head_dim)));
      }
    }
    // Element i of head h of token t, rotated in double; the angle is the f32 product.
    double rotated(int t, int h, int i) const {
      const int half = c.head_dim / 2;
      const float* head = &qkv[std::size_t(t * width + h * c.head_dim)];
      const float angle = float(positions[std::size_t(t)]) * inv_freq[std::size_t(i % half)];
      const double cosine = std::cos(double{angle}) * double{c.magnitude};
      const double sine = std::sin(double{angle}) * double{c.magnitude};
      return i < half ? head[i] * cosine - head[i + half] * sine
                      : head[i] * cosine + head[i - half] * sine;
    }

    Case c;
    int width, pages;
    std::vector<float> qkv, inv_freq;
    std::vector<std::int32_t> positions, slots;
  };

  // Elements that must be as they were found (NaN) become 0.
  static std::vector<float> touched(const std::string& what, std::vector<float> pages,
                                    const std::vector<double>& wanted) {
    for (std::size_t i = 0; i < pages.size(); ++i) {
      if (wanted[i] == 0) {
        EXPECT_TRUE(std::isnan(pages[i])) << what << ": wrote to another slot, element " << i;
        pages[i] = 0;
      }
    }
    return pages;
  }

  static void expect_rotated(const Case& c, DType dtype) {
    const Step step(c, dtype);
    const GpuArray qkv = to_gpu(device(), dtype, {c.tokens, step.width}, step.qkv);
    const GpuArray positions = to_gpu(device(), {c.tokens}, step.positions);
    const GpuArray slots = to_gpu(device(), {c.tokens}, step.slots);
    const GpuArray inv_freq = to_gpu(device(), DType::f32, {c.head_dim / 2}, step.inv_freq);
    const std::initializer_list<std::int64_t> shape = {step.pages, c.kv_heads, c.page_size,
                                                       c.head_dim};
    const GpuArray k = testing::poisoned(device(), dtype, shape);
    const GpuArray v = testing::poisoned(device(), dtype, shape);
    rope_append(exec(), {.qkv = qkv.view,
                         .positions = positions.view,
                         .slots = slots.view,
                         .inv_freq = inv_freq.view,
                         .magnitude = c.magnitude,
                         .q_heads = c.q_heads,
                         .kv_heads = c.kv_heads,
                         .head_dim = c.head_dim,
                         .k_pages = k.view,
                         .v_pages = v.view});
    std::vector<double> rows(step.qkv.begin(), step.qkv.end());
    std::vector<double> k_wanted(std::size_t(k.view.elements()), 0.0);
    std::vector<double> v_wanted = k_wanted;
    for (int t = 0; t < c.tokens; ++t) {
      for (int h = 0; h < c.q_heads; ++h) {
        for (int i = 0; i < c.head_dim; ++i) {
          rows[std::size_t(t * step.width + h * c.head_dim + i)] = step.rotated(t, h, i);
        }
      }
      const int slot = step.slots[std::size_t(t)];
      for (int h = 0; h < c.kv_heads && slot >= 0; ++h) {
        const int row = (slot / c.page_size * c.kv_heads + h) * c.page_size + slot % c.page_size;
        for (int i = 0; i < c.head_dim; ++i) {
          const std::size_t at = std::size_t(row * c.head_dim + i);
          k_wanted[at] = step.rotated(t, c.q_heads + h, i);
          v_wanted[at] =
              step.qkv[std::size_t(t * step.width + (c.q_heads + c.kv_heads + h) * c.head_dim + i)];
        }
      }
    }
    const std::string what = std::string(name_of(dtype)) + " tokens " + std::to_string(c.tokens) +
                             " heads " + std::to_string(c.q_heads) + "/" +
                             std::to_string(c.kv_heads) + " of " + std::to_string(c.head_dim);
    // |head| <= 1: sine and cosine within 2 ulp, two products, a sum, and the type's rounding.
    const auto tolerance = [&](double wanted) {
      return 8 * 0x1p-24 * c.magnitude + std::abs(wanted) * testing::unit_roundoff(dtype);
    };
    testing::expect_near_all("q of " + what, testing::floats_of(device(), qkv.view), rows,
                             tolerance);
    testing::expect_near_all("k of " + what,
                             touched(what, testing::floats_of(device(), k.view), k_wanted),
                             k_wanted, tolerance);
    testing::expect_near_all("v of " + what,
                             touched(what, testing::floats_of(device(), v.view), v_wanted),
                             v_wanted, [](double) { return 0.0; });
  }
};

TEST_F(RopeCudaTest, RotatesQueriesInPlaceAndAppendsToTheSlots) {
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    for (const Case& c :
         {Case{1, 32, 32, 128, 16, 1}, Case{90, 9, 3, 64, 16, 1}, Case{4, 2, 1, 40, 4, 1.25f},
          Case{7, 1, 2, 128, 1, 2}, Case{11, 3, 1, 6, 8, 1}, Case{5, 4, 1, 512, 16, 1},
          Case{0, 2, 2, 32, 16, 1}, Case{3, 5, 0, 64, 16, 1}}) {
      expect_rotated(c, dtype);
    }
  }
}

// Parts of heads, none of them, and norms of heads or of all: as the host has it.
TEST_F(RopeCudaTest, NormsAndRotatesPartsAsTheHost) {
  struct Extras {
    int rotary;
    bool norm;
    bool whole;
  };
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    for (const Case& c : {Case{9, 6, 2, 128, 16, 1}, Case{4, 3, 1, 80, 4, 1.25f},
                          Case{3, 5, 3, 256, 8, 1}, Case{5, 2, 1, 20, 1, 1}}) {
      for (const Extras& extras :
           {Extras{c.head_dim, true, false}, Extras{c.head_dim, true, true},
            Extras{c.head_dim / 4 * 2, false, false}, Extras{0, false, false},
            Extras{c.head_dim / 4 * 2, true, false}}) {
        Step step(c, dtype);
        for (int t = 0; t < c.tokens; ++t) {
          step.slots[std::size_t(t)] = t + 1;  // the host has no padding
        }
        step.inv_freq.resize(std::size_t(extras.rotary / 2));
        std::vector<float> q_weight =
            testing::random_floats((extras.whole ? c.q_heads : 1) * c.head_dim, 5);
        std::vector<float> k_weight =
            testing::random_floats((extras.whole ? c.kv_heads : 1) * c.head_dim, 6);
        std::vector<float> squares(std::size_t(c.tokens) * 2, 90.0f);
        const std::initializer_list<std::int64_t> pages = {step.pages, c.kv_heads, c.page_size,
                                                           c.head_dim};
        const std::size_t count =
            std::size_t(step.pages) * std::size_t(c.kv_heads * c.page_size * c.head_dim);
        std::vector<float> k(count), v(count), qkv = step.qkv;
        const auto args = [&](TensorView rows, TensorView positions, TensorView slots,
                              TensorView inv_freq, TensorView q, TensorView kw, TensorView sums,
                              TensorView k_pages, TensorView v_pages) {
          RopeAppendArgs a{.qkv = rows,
                           .positions = positions,
                           .slots = slots,
                           .inv_freq = extras.rotary == 0 ? TensorView() : inv_freq,
                           .magnitude = c.magnitude,
                           .q_heads = c.q_heads,
                           .kv_heads = c.kv_heads,
                           .head_dim = c.head_dim,
                           .k_pages = k_pages,
                           .v_pages = v_pages};
          if (extras.norm) {
            a.norm = {.q_weight = q,
                      .k_weight = kw,
                      .eps = 1e-5f,
                      .squares = extras.whole ? sums : TensorView(),
                      .q_width = 300,
                      .k_width = 200};
          }
          return a;
        };
        const GpuArray g_qkv = to_gpu(device(), dtype, {c.tokens, step.width}, qkv);
        const GpuArray g_positions = to_gpu(device(), {c.tokens}, step.positions);
        const GpuArray g_slots = to_gpu(device(), {c.tokens}, step.slots);
        const GpuArray g_freq = to_gpu(device(), DType::f32, {extras.rotary / 2}, step.inv_freq);
        const auto length = [](const std::vector<float>& x) { return std::int64_t(x.size()); };
        const GpuArray g_q = to_gpu(device(), DType::f32, {length(q_weight)}, q_weight);
        const GpuArray g_k = to_gpu(device(), DType::f32, {length(k_weight)}, k_weight);
        const GpuArray g_squares = to_gpu(device(), DType::f32, {c.tokens, 2}, squares);
        const GpuArray k_pages = to_gpu(device(), dtype, pages, k);
        const GpuArray v_pages = to_gpu(device(), dtype, pages, v);
        rope_append(exec(), args(g_qkv.view, g_positions.view, g_slots.view, g_freq.view, g_q.view,
                                 g_k.view, g_squares.view, k_pages.view, v_pages.view));
        rope_append(testing::host_exec(1),
                    args(testing::view_of(qkv, {c.tokens, step.width}),
                         testing::view_of(step.positions, {c.tokens}),
                         testing::view_of(step.slots, {c.tokens}),
                         testing::view_of(step.inv_freq, {extras.rotary / 2}),
                         testing::view_of(q_weight, {length(q_weight)}),
                         testing::view_of(k_weight, {length(k_weight)}),
                         testing::view_of(squares, {c.tokens, 2}), testing::view_of(k, pages),
                         testing::view_of(v, pages)));
        // Heads of a few units: the norm's roundings, sine and cosine, a sum, the type's rounding.
        const auto tolerance = [&](double wanted) {
          return 100 * 0x1p-24 + std::abs(wanted) * testing::unit_roundoff(dtype);
        };
        const auto check = [&](const char* what, const TensorView& found,
                               const std::vector<float>& wanted) {
          testing::expect_near_all(what, testing::floats_of(device(), found),
                                   {wanted.begin(), wanted.end()}, tolerance);
        };
        check("qkv", g_qkv.view, qkv);
        check("k pages", k_pages.view, k);
        check("v pages", v_pages.view, v);
      }
    }
  }
}

}  // namespace
}  // namespace tutti
