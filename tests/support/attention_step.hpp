// One step of attention on a GPU beside its host twin: scattered pages, strided queries, NaN
// wherever nothing may be read.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "kernels/attention.hpp"
#include "tests/kernels/kernel_fixture.hpp"
#include "tests/support/gpu_fixture.hpp"

namespace tutti::testing {

struct AttentionShape {
  DType dtype;
  int head_dim;
  int kv_heads;
  std::vector<std::int32_t> kv_of_q;
  int page_size = 16;
  float scale = 0;  // 0: 3 / sqrt(head_dim), so that weights differ
  int window = 0;
  float softcap = 0;
  std::vector<float> slopes = {};  // of the query heads, or empty

  int q_heads() const { return static_cast<int>(kv_of_q.size()); }
  int width() const { return q_heads() * head_dim; }
};

// The most that one rounding costs, relatively: 8, 11 and 24 significant bits.
inline double rounding_error(DType dtype) {
  return dtype == DType::bf16 ? 0x1p-8 : dtype == DType::f16 ? 0x1p-11 : 0x1p-24;
}

// New tokens of a sequence and its context, those included. {1, 0} pads a batch.
struct AttentionTokens {
  int count;
  int context;
};

// Multiples of 1/64 in [-1, 1]: every dtype holds them, products are multiples of 2^-12, and sums
// of 256 of those are exact in f32, whatever their order.
class ExactValues {
 public:
  explicit ExactValues(std::uint32_t seed) : state_(seed * 2654435761u + 12345u) {}
  float next() {
    state_ = state_ * 1664525u + 1013904223u;
    return (static_cast<float>((state_ >> 16) % 129) - 64.0f) / 64.0f;
  }
  std::uint32_t below(std::uint32_t n) {
    state_ = state_ * 1664525u + 1013904223u;
    return static_cast<std::uint32_t>((std::uint64_t{state_} * n) >> 32);
  }

 private:
  std::uint32_t state_;
};

class AttentionStep {
 public:
  // `behind` tokens follow that belong to no sequence.
  AttentionStep(AttentionShape shape_in, std::vector<AttentionTokens> sequences_in, int behind = 0,
                std::uint32_t seed = 1)
      : shape(std::move(shape_in)), sequences(std::move(sequences_in)) {
    query_begin.push_back(0);
    int blocks = 0;
    for (const AttentionTokens& s : sequences) {
      query_begin.push_back(query_begin.back() + s.count);
      context.push_back(s.context);
      most_queries = std::max<std::int64_t>(most_queries, s.count);
      most_context = std::max<std::int64_t>(most_context, s.context);
      max_blocks = std::max(max_blocks, blocks_of(s.context) + 1);
      blocks += blocks_of(s.context);
    }
    tokens = query_begin.back() + behind;
    pages = blocks + 2;
    deal_pages(seed);
    const float nan = std::numeric_limits<float>::quiet_NaN();
    k.assign(static_cast<std::size_t>(pages) * page_elements(), nan);
    v = k;
    ExactValues values(seed);
    for (std::size_t s = 0; s < sequences.size(); ++s) {
      for (int position = 0; position < sequences[s].context; ++position) {
        fill_position(static_cast<int>(s), position, values);
      }
    }
    q.assign(static_cast<std::size_t>(tokens) * static_cast<std::size_t>(q_stride()), nan);
    for (int t = 0; t < query_begin.back(); ++t) {
      for (int i = 0; i < shape.width(); ++i) {
        q[static_cast<std::size_t>(t) * static_cast<std::size_t>(q_stride()) +
          static_cast<std::size_t>(i)] = values.next();
      }
    }
  }

  int blocks_of(int positions) const { return (positions + shape.page_size - 1) / shape.page_size; }
  std::size_t page_elements() const {
    return static_cast<std::size_t>(shape.kv_heads) * static_cast<std::size_t>(shape.page_size) *
           static_cast<std::size_t>(shape.head_dim);
  }
  // Queries lie as rope_append leaves them: before the keys and values of their token.
  int q_stride() const { return shape.width() + 2 * shape.kv_heads * shape.head_dim; }
  float scale() const {
    return shape.scale != 0 ? shape.scale : 3.0f / std::sqrt(static_cast<float>(shape.head_dim));
  }
  std::size_t offset(int s, int position, int kv_head) const {
    const int page = table[static_cast<std::size_t>(s * max_blocks + position / shape.page_size)];
    return static_cast<std::size_t>((std::int64_t{page} * shape.kv_heads + kv_head) *
                                        shape.page_size +
                                    position % shape.page_size) *
           static_cast<std::size_t>(shape.head_dim);
  }

  // Copies everything to the device; y is all NaN.
  void upload(Device& device) {
    const auto rows = static_cast<std::int64_t>(tokens);
    const std::int64_t count = static_cast<std::int64_t>(sequences.size());
    gpu_q = to_gpu(device, shape.dtype, {rows, q_stride()}, q);
    gpu_k =
        to_gpu(device, shape.dtype, {pages, shape.kv_heads, shape.page_size, shape.head_dim}, k);
    gpu_v =
        to_gpu(device, shape.dtype, {pages, shape.kv_heads, shape.page_size, shape.head_dim}, v);
    gpu_begin = to_gpu(device, {count + 1}, query_begin);
    gpu_context = to_gpu(device, {count}, context);
    gpu_table = to_gpu(device, {count, max_blocks}, table);
    gpu_map = to_gpu(device, {shape.q_heads()}, shape.kv_of_q);
    if (!shape.slopes.empty()) {
      gpu_slopes = to_gpu(device, DType::f32, {shape.q_heads()}, shape.slopes);
    }
    poison(device);
  }
  void poison(Device& device) {
    const std::vector<float> nan(static_cast<std::size_t>(tokens * shape.width()),
                                 std::numeric_limits<float>::quiet_NaN());
    gpu_y = to_gpu(device, shape.dtype, {tokens, shape.width()}, nan);
  }

  AttentionArgs gpu_args() const {
    return {.q = gpu_q.view.column_slice({0, shape.width()}),
            .k_pages = gpu_k.view,
            .v_pages = gpu_v.view,
            .query_begin = gpu_begin.view,
            .context_length = gpu_context.view,
            .block_table = gpu_table.view,
            .kv_of_q = gpu_map.view,
            .head_dim = shape.head_dim,
            .scale = scale(),
            .window = shape.window,
            .softcap = shape.softcap,
            .slopes = gpu_slopes.view,
            .most_queries = most_queries,
            .most_context = most_context,
            .y = gpu_y.view};
  }

  // y and sum_i weight_i |v_i|, which bounds what rounding the weights can do. The host has no
  // padding: such a sequence borrows a context of 1, and its rows are 0 afterwards.
  void compute_on_host() {
    std::vector<std::int32_t> lengths = context;
    for (std::size_t s = 0; s < lengths.size(); ++s) {
      lengths[s] = std::max(lengths[s], sequences[s].count);
    }
    std::vector<float> absolute = v;
    for (float& value : absolute) {
      value = std::fabs(value);
    }
    wanted.assign(static_cast<std::size_t>(tokens * shape.width()), 0.0f);
    bound = wanted;
    run_host(lengths, v, wanted);
    run_host(lengths, absolute, bound);
    for (std::size_t s = 0; s < sequences.size(); ++s) {
      if (sequences[s].context == 0) {
        const std::ptrdiff_t begin = std::ptrdiff_t{query_begin[s]} * shape.width();
        const std::ptrdiff_t end = std::ptrdiff_t{query_begin[s + 1]} * shape.width();
        std::fill(wanted.begin() + begin, wanted.begin() + end, 0.0f);
        std::fill(bound.begin() + begin, bound.begin() + end, 0.0f);
      }
    }
  }

  // Scores are exact (ExactValues). Their multiple of log2(e) is rounded twice, and is below
  // 3 sqrt(256) 1.45 = 70: errors of 2^-17 in an exponent, 6e-6 of a weight, on both sides; an
  // exponential adds 1e-6; a tanh of a soft cap below 30 adds 2^-22 of that, 7e-6. Tensor cores
  // take weights rounded to the dtype (u of each; f16 has nothing finer than 2^-25 below 2^-14),
  // and y is rounded once.
  double tolerance(std::size_t i) const {
    const double u = rounding_error(shape.dtype);
    const double fine =
        shape.dtype == DType::f16 ? 0x1p-25 * static_cast<double>(most_context) : 0.0;
    const double sum = bound[i];
    return 1.01 * (u * (sum + std::fabs(double{wanted[i]})) + 2e-5 * sum + fine) + 1e-37;
  }

  // Empty, or the first few elements that are not as the host has them.
  std::string differences(const std::vector<float>& got) const {
    std::string text;
    int count = 0;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      const bool near = std::fabs(double{got[i]} - wanted[i]) <= tolerance(i);  // false for NaN
      if (!near && ++count <= 4) {
        const auto width = static_cast<std::size_t>(shape.width());
        const auto d = static_cast<std::size_t>(shape.head_dim);
        text += fmt::format("  token {} head {} column {}: wanted {} +- {}, found {}\n", i / width,
                            i % width / d, i % d, wanted[i], tolerance(i), got[i]);
      }
    }
    return count == 0 ? text : fmt::format("{} of {} differ\n{}", count, wanted.size(), text);
  }

  std::string describe() const {
    std::string text = fmt::format("{} head_dim {} page_size {} q_heads {} kv_heads {} sequences",
                                   name_of(shape.dtype), shape.head_dim, shape.page_size,
                                   shape.q_heads(), shape.kv_heads);
    for (std::size_t s = 0; s < sequences.size() && s < 20; ++s) {
      text += fmt::format(" {}/{}", sequences[s].count, sequences[s].context);
    }
    return text;
  }

  AttentionShape shape;
  std::vector<AttentionTokens> sequences;
  int tokens = 0;
  int pages = 0;
  int max_blocks = 1;
  std::int64_t most_queries = 1;
  std::int64_t most_context = 1;
  std::vector<std::int32_t> query_begin, context, table;
  std::vector<float> q, k, v, wanted, bound;
  GpuArray gpu_q, gpu_k, gpu_v, gpu_begin, gpu_context, gpu_table, gpu_map, gpu_slopes, gpu_y;

  // New keys and values for one position.
  void fill_position(int s, int position, ExactValues& values) {
    for (int g = 0; g < shape.kv_heads; ++g) {
      const std::size_t at = offset(s, position, g);
      for (std::size_t i = 0; i < static_cast<std::size_t>(shape.head_dim); ++i) {
        k[at + i] = values.next();
        v[at + i] = values.next();
      }
    }
  }

  // Keys and values before a position become NaN.
  void forget(int s, int position) {
    for (int p = 0; p < position; ++p) {
      for (int g = 0; g < shape.kv_heads; ++g) {
        const auto at = static_cast<std::ptrdiff_t>(offset(s, p, g));
        std::fill_n(k.begin() + at, shape.head_dim, std::numeric_limits<float>::quiet_NaN());
        std::fill_n(v.begin() + at, shape.head_dim, std::numeric_limits<float>::quiet_NaN());
      }
    }
  }

 private:
  // Each block its own page, in no order; blocks that are not used name a page of NaN.
  void deal_pages(std::uint32_t seed) {
    ExactValues random(seed + 77);
    std::vector<std::int32_t> free(static_cast<std::size_t>(pages));
    std::iota(free.begin(), free.end(), 0);
    for (std::size_t i = free.size() - 1; i > 0; --i) {
      std::swap(free[i], free[random.below(static_cast<std::uint32_t>(i + 1))]);
    }
    table.assign(sequences.size() * static_cast<std::size_t>(max_blocks), free.back());
    std::size_t next = 0;
    for (std::size_t s = 0; s < sequences.size(); ++s) {
      for (int b = 0; b < blocks_of(sequences[s].context); ++b) {
        table[s * static_cast<std::size_t>(max_blocks) + static_cast<std::size_t>(b)] =
            free[next++];
      }
    }
  }

  void run_host(std::vector<std::int32_t>& lengths, std::vector<float>& values,
                std::vector<float>& y) {
    const auto count = static_cast<std::int64_t>(sequences.size());
    TensorView queries = view_of(q, {tokens, q_stride()});
    attention(
        host_exec(4),
        {.q = queries.column_slice({0, shape.width()}),
         .k_pages = view_of(k, {pages, shape.kv_heads, shape.page_size, shape.head_dim}),
         .v_pages = view_of(values, {pages, shape.kv_heads, shape.page_size, shape.head_dim}),
         .query_begin = view_of(query_begin, {count + 1}),
         .context_length = view_of(lengths, {count}),
         .block_table = view_of(table, {count, max_blocks}),
         .kv_of_q = view_of(shape.kv_of_q, {shape.q_heads()}),
         .head_dim = shape.head_dim,
         .scale = scale(),
         .window = shape.window,
         .softcap = shape.softcap,
         .slopes = shape.slopes.empty() ? TensorView() : view_of(shape.slopes, {shape.q_heads()}),
         .y = view_of(y, {tokens, shape.width()})});
  }
};

}  // namespace tutti::testing
