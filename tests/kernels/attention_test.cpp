#include "kernels/attention.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/error.hpp"
#include "tests/kernels/kernel_fixture.hpp"

namespace tutti {
namespace {

using testing::host_exec;
using testing::random_floats;
using testing::view_of;

// A sequence of the step: so many new tokens, so many in the cache before them.
struct Sequence {
  int tokens;
  int cached;
};

struct Case {
  std::vector<std::int32_t> kv_of_q;
  int kv_heads;
  int head_dim;
  int page_size;
  std::vector<Sequence> sequences;
  int threads;
  int window = 0;
  float softcap = 0;
  std::vector<float> slopes = {};
};

// Buffers of one step. Keys, values and queries are functions of (sequence, position), so that the
// same sequence can be fed whole or in parts; pages are dealt out scattered.
struct Step {
  explicit Step(const Case& c_in) : c(c_in) {
    const int q_width = int(c.kv_of_q.size()) * c.head_dim;
    query_begin.push_back(0);
    for (const Sequence& s : c.sequences) {
      query_begin.push_back(query_begin.back() + s.tokens);
      context.push_back(s.tokens + s.cached);
      max_blocks = std::max(max_blocks, (context.back() + c.page_size - 1) / c.page_size);
    }
    const int count = int(c.sequences.size());
    pages = count * max_blocks + 1;
    const std::size_t page_elements = std::size_t(c.kv_heads * c.page_size * c.head_dim);
    k.assign(std::size_t(pages) * page_elements, std::nanf(""));  // what is not written is not read
    v = k;
    for (int s = 0; s < count; ++s) {
      for (int b = 0; b < max_blocks; ++b) {
        table.push_back((b * count + s) * 7919 % pages);
      }
    }
    make_unique();
    for (int s = 0; s < count; ++s) {
      const std::vector<float> queries = random_floats(512 * q_width, 1000u + unsigned(s));
      const int cached = c.sequences[std::size_t(s)].cached;
      q.insert(q.end(), queries.begin() + cached * q_width,
               queries.begin() + context[std::size_t(s)] * q_width);
      fill(s, k, 2000u + unsigned(s));
      fill(s, v, 3000u + unsigned(s));
    }
    y.assign(q.size(), -5.0f);
  }

  // A scattered order of pages in which each occurs once.
  void make_unique() {
    std::vector<bool> used(std::size_t(pages), false);
    for (std::int32_t& page : table) {
      while (used[std::size_t(page)]) {
        page = (page + 1) % pages;
      }
      used[std::size_t(page)] = true;
    }
  }

  std::size_t offset(int s, int position, int head) const {
    const int page = table[std::size_t(s * max_blocks + position / c.page_size)];
    return std::size_t((page * c.kv_heads + head) * c.page_size + position % c.page_size) *
           std::size_t(c.head_dim);
  }

  void fill(int s, std::vector<float>& cache, unsigned seed) {
    const int row = c.kv_heads * c.head_dim;
    const std::vector<float> values = random_floats(512 * row, seed);
    for (int p = 0; p < context[std::size_t(s)]; ++p) {
      for (int h = 0; h < c.kv_heads; ++h) {
        std::copy_n(values.begin() + p * row + h * c.head_dim, c.head_dim,
                    cache.begin() + std::ptrdiff_t(offset(s, p, h)));
      }
    }
  }

  AttentionArgs args() {
    const std::int64_t tokens = query_begin.back();
    const std::int64_t heads = std::int64_t(c.kv_of_q.size());
    const std::int64_t count = std::int64_t(c.sequences.size());
    return {.q = view_of(q, {tokens, heads * c.head_dim}),
            .k_pages = view_of(k, {pages, c.kv_heads, c.page_size, c.head_dim}),
            .v_pages = view_of(v, {pages, c.kv_heads, c.page_size, c.head_dim}),
            .query_begin = view_of(query_begin, {count + 1}),
            .context_length = view_of(context, {count}),
            .block_table = view_of(table, {count, max_blocks}),
            .kv_of_q = view_of(c.kv_of_q, {heads}),
            .head_dim = c.head_dim,
            .scale = 3.0f / std::sqrt(float(c.head_dim)),
            .window = c.window,
            .softcap = c.softcap,
            .slopes = c.slopes.empty() ? TensorView() : view_of(c.slopes, {heads}),
            .y = view_of(y, {tokens, heads * c.head_dim})};
  }

  // The definition in double precision, for one token and head.
  std::vector<double> reference(int s, int position, const float* query, std::size_t head,
                                double scale) const {
    const int kv_head = c.kv_of_q[head];
    const int first = c.window > 0 ? std::max(position + 1 - c.window, 0) : 0;
    std::vector<double> weights;
    double largest = -1e300;
    for (int p = first; p <= position; ++p) {
      double dot = 0;
      for (int d = 0; d < c.head_dim; ++d) {
        dot += double{query[d]} * k[offset(s, p, kv_head) + std::size_t(d)];
      }
      double score = dot * scale;
      score = c.softcap > 0 ? c.softcap * std::tanh(score / c.softcap) : score;
      score += c.slopes.empty() ? 0.0 : double{c.slopes[head]} * (p - position);
      weights.push_back(score);
      largest = std::max(largest, weights.back());
    }
    double total = 0;
    std::vector<double> sum(std::size_t(c.head_dim), 0.0);
    for (int p = first; p <= position; ++p) {
      const double weight = std::exp(weights[std::size_t(p - first)] - largest);
      total += weight;
      for (int d = 0; d < c.head_dim; ++d) {
        sum[std::size_t(d)] += weight * v[offset(s, p, kv_head) + std::size_t(d)];
      }
    }
    for (double& value : sum) {
      value /= total;
    }
    return sum;
  }

  Case c;
  int pages = 0;
  int max_blocks = 0;
  std::vector<float> q, k, v, y;
  std::vector<std::int32_t> query_begin, context, table;
};

class AttentionTest : public ::testing::TestWithParam<Case> {};

TEST_P(AttentionTest, AgreesWithTheDefinition) {
  Step step(GetParam());
  const AttentionArgs args = step.args();
  attention(host_exec(step.c.threads), args);
  const std::size_t d = std::size_t(step.c.head_dim);
  // Scores carry head_dim roundings of terms below 1 (times scale 3 / sqrt(head_dim)); an error e
  // of a score is a relative error e of its weight, and values are below 1.
  const double tolerance = 0x1p-24 * (3 * std::sqrt(double(d)) * 4 + 64);
  for (std::size_t s = 0; s < step.context.size(); ++s) {
    for (int t = step.query_begin[s]; t < step.query_begin[s + 1]; ++t) {
      const int position = step.context[s] - (step.query_begin[s + 1] - t);
      for (std::size_t h = 0; h < step.c.kv_of_q.size(); ++h) {
        const std::size_t at = (std::size_t(t) * step.c.kv_of_q.size() + h) * d;
        const std::vector<double> wanted =
            step.reference(int(s), position, &step.q[at], h, double{args.scale});
        for (std::size_t i = 0; i < d; ++i) {
          ASSERT_NEAR(step.y[at + i], wanted[i], tolerance)
              << "sequence " << s << ", position " << position << ", head " << h << ", " << i;
        }
      }
    }
  }
}

// The bits of a token's result do not depend on its company, the chunk it came in, or threads.
TEST_P(AttentionTest, IsTheSameTokenByTokenOnAnotherThreadCount) {
  Step whole(GetParam());
  attention(host_exec(whole.c.threads), whole.args());
  const std::size_t width = whole.c.kv_of_q.size() * std::size_t(whole.c.head_dim);
  Case c = GetParam();
  for (std::size_t s = 0; s < c.sequences.size(); ++s) {
    for (int t = whole.query_begin[s]; t < whole.query_begin[s + 1]; ++t) {
      if (t - whole.query_begin[s] > 40 && (t % 17) != 0) {
        continue;  // a sample of long prompts is enough
      }
      AttentionArgs args = whole.args();
      std::vector<std::int32_t> begin = {0, 1};
      std::vector<std::int32_t> context = {whole.context[s] - (whole.query_begin[s + 1] - t) + 1};
      std::vector<float> y(width, 0.0f);
      args.q = args.q.row_slice({t, t + 1});
      args.query_begin = view_of(begin, {2});
      args.context_length = view_of(context, {1});
      args.block_table = args.block_table.row_slice({std::int64_t(s), std::int64_t(s) + 1});
      args.y = view_of(y, {1, std::int64_t(width)});
      attention(host_exec(3 - whole.c.threads), args);
      for (std::size_t i = 0; i < width; ++i) {
        ASSERT_EQ(y[i], whole.y[std::size_t(t) * width + i]) << "token " << t << ", " << i;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Steps, AttentionTest,
    ::testing::Values(
        Case{{0, 0, 0, 1, 1, 1, 2, 2, 2}, 3, 64, 16, {{1, 0}}, 1},
        Case{{0, 0, 0, 1, 1, 1, 2, 2, 2}, 3, 64, 16, {{1, 130}, {1, 63}, {1, 64}}, 2},
        Case{{0, 0, 1}, 2, 64, 16, {{150, 0}}, 2},
        Case{{0, 1, 1, 1, 1}, 2, 32, 8, {{20, 45}, {1, 100}, {33, 0}, {0, 5}, {2, 64}}, 2},
        Case{{1, 0, 1}, 2, 128, 1, {{5, 60}, {1, 0}}, 1}, Case{{0}, 1, 256, 128, {{70, 10}}, 2},
        Case{{0, 0}, 1, 80, 4, {{3, 20}, {1, 7}}, 1}, Case{{0, 0}, 1, 100, 32, {{9, 60}}, 1},
        Case{std::vector<std::int32_t>(20, 0), 1, 64, 16, {{3, 70}, {1, 10}}, 2}));

// Windows that begin within a block of the softmax, at its end, before the sequence, and hold one
// position; prompts and contexts longer than them.
INSTANTIATE_TEST_SUITE_P(
    Extras, AttentionTest,
    ::testing::Values(
        Case{{0, 0, 1}, 2, 64, 16, {{150, 0}, {1, 200}, {1, 30}}, 2, 64},
        Case{{0, 0, 1}, 2, 32, 8, {{90, 45}, {1, 131}, {1, 0}}, 2, 37},
        Case{{0, 0}, 1, 80, 4, {{3, 20}, {1, 7}}, 1, 1}, Case{{0}, 1, 16, 16, {{9, 60}}, 1, 100},
        Case{{0, 0, 1}, 2, 64, 16, {{70, 10}, {1, 100}}, 2, 0, 1.5f},
        Case{{0, 1, 1}, 2, 100, 16, {{70, 10}, {1, 100}}, 1, 20, 30.0f},
        Case{{0, 1, 1}, 2, 64, 16, {{90, 10}, {1, 100}}, 2, 0, 0, {0.5f, 0.0625f, 0.0f}},
        Case{{0, 0, 1}, 2, 64, 16, {{40, 90}, {1, 70}}, 1, 50, 5.0f, {0.25f, 1.0f, 0.004f}}));

// What lies before all windows is neither read nor looked at: its pages may be another's by now.
TEST(AttentionWindowTest, PagesBeforeTheWindowMayBeGone) {
  const Case c = {{0, 0}, 1, 64, 16, {{3, 100}, {1, 63}}, 1, 40};
  Step whole(c);
  attention(host_exec(1), whole.args());
  Step partial(c);
  const int firsts[2] = {100 + 1 - 40, 63 + 1 - 40};
  for (int s = 0; s < 2; ++s) {
    for (int position = 0; position < firsts[s]; ++position) {
      std::fill_n(&partial.k[partial.offset(s, position, 0)], 64, std::nanf(""));
      std::fill_n(&partial.v[partial.offset(s, position, 0)], 64, std::nanf(""));
    }
  }
  for (int s = 0; s < 2; ++s) {
    for (int block = 0; block < firsts[s] / 16; ++block) {
      partial.table[std::size_t(s * partial.max_blocks + block)] = -1;
    }
  }
  attention(host_exec(1), partial.args());
  EXPECT_EQ(whole.y, partial.y);
}

TEST(AttentionErrorTest, NamesWhatDoesNotFit) {
  const Case c = {{0, 0}, 1, 32, 16, {{3, 20}, {1, 7}}, 1};
  const auto message_of = [](Step& step, AttentionArgs args) -> std::string {
    try {
      attention(host_exec(1), args);
    } catch (const ConfigError& error) {
      return error.what();
    }
    step.y.clear();
    return "no error";
  };
  Step step(c);
  step.table[1] = 99;
  EXPECT_THAT(message_of(step, step.args()),
              ::testing::HasSubstr("block 1 of sequence 0 is page 99, wanted one in [0, 5)"));
  Step long_context(c);
  long_context.context[1] = 33;
  EXPECT_THAT(message_of(long_context, long_context.args()),
              ::testing::HasSubstr("sequence 1 has context length 33, wanted 1..32"));
  Step map(c);
  map.c.kv_of_q[1] = 1;
  EXPECT_THAT(message_of(map, map.args()),
              ::testing::HasSubstr("query head 1 reads KV head 1, wanted one in [0, 1)"));
  Step dim(c);
  AttentionArgs args = dim.args();
  args.head_dim = 16;
  EXPECT_THAT(message_of(dim, args), ::testing::HasSubstr("attention: q is f32 [4, 64], wanted"));
}

}  // namespace
}  // namespace tutti
