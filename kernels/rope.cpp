#include "kernels/rope.hpp"

#include <array>
#include <cmath>
#include <cstring>

#include "kernels/check.hpp"
#include "kernels/device_ops.hpp"
#include "kernels/simd.hpp"

namespace tutti {
namespace {

constexpr int kMaxHeadDim = 512;

// Rotates one head by the angles of its token; from may be to.
struct RotateHead {
  template <int W>
  static TUTTI_INLINE void run(const float* from, float* to, const float* cosine, const float* sine,
                               int half) {
    using F = simd::F32<W>;
    int i = 0;
    for (; i + W <= half; i += W) {
      F a;
      F b;
      F c;
      F s;
      simd::load(a, from + i);
      simd::load(b, from + half + i);
      simd::load(c, cosine + i);
      simd::load(s, sine + i);
      const F first = a * c - b * s;
      const F second = b * c + a * s;
      simd::store(to + i, first);
      simd::store(to + half + i, second);
    }
    for (; i < half; ++i) {
      const float a = from[i];
      const float b = from[half + i];
      to[i] = a * cosine[i] - b * sine[i];
      to[half + i] = b * cosine[i] + a * sine[i];
    }
  }
};

// Element offset of (slot, KV head) in the pages.
std::int64_t page_offset(const RopeAppendArgs& args, std::int64_t slot, int head) {
  const std::int64_t page_size = args.k_pages.shape[2];
  const std::int64_t page = slot / page_size;
  return page * args.k_pages.row_stride +
         (head * page_size + slot % page_size) * static_cast<std::int64_t>(args.head_dim);
}

void rope_token(const RopeAppendArgs& args, std::int64_t t) {
  const int half = args.head_dim / 2;
  const auto* positions = static_cast<const std::int32_t*>(args.positions.data);
  const auto* slots = static_cast<const std::int32_t*>(args.slots.data);
  const auto* inv_freq = static_cast<const float*>(args.inv_freq.data);
  std::array<float, kMaxHeadDim / 2> cosine;
  std::array<float, kMaxHeadDim / 2> sine;
  const float position = static_cast<float>(positions[t * args.positions.row_stride]);
  for (int i = 0; i < half; ++i) {
    const float angle = position * inv_freq[i];  // f32, as the reference has it
    cosine[static_cast<std::size_t>(i)] = std::cos(angle) * args.magnitude;
    sine[static_cast<std::size_t>(i)] = std::sin(angle) * args.magnitude;
  }
  float* head = args.qkv.row<float>(t);
  for (int h = 0; h < args.q_heads; ++h, head += args.head_dim) {
    multiversion<RotateHead>(static_cast<const float*>(head), head,
                             static_cast<const float*>(cosine.data()),
                             static_cast<const float*>(sine.data()), half);
  }
  const std::int64_t slot = slots[t * args.slots.row_stride];
  const float* v = head + static_cast<std::int64_t>(args.kv_heads) * args.head_dim;
  for (int h = 0; h < args.kv_heads; ++h, head += args.head_dim, v += args.head_dim) {
    const std::int64_t offset = page_offset(args, slot, h);
    multiversion<RotateHead>(
        static_cast<const float*>(head), static_cast<float*>(args.k_pages.data) + offset,
        static_cast<const float*>(cosine.data()), static_cast<const float*>(sine.data()), half);
    std::memcpy(static_cast<float*>(args.v_pages.data) + offset, v,
                static_cast<std::size_t>(args.head_dim) * sizeof(float));
  }
}

void check_rope(const Exec& exec, const RopeAppendArgs& args) {
  constexpr const char* op = "rope_append";
  check_that(
      args.q_heads >= 0 && args.kv_heads >= 0 && args.head_dim > 0 && args.head_dim % 2 == 0 &&
          args.head_dim <= kMaxHeadDim,
      op,
      "q_heads {}, kv_heads {}, head_dim {}; wanted counts of at least 0 and an even head_dim "
      "of at most {}",
      args.q_heads, args.kv_heads, args.head_dim, kMaxHeadDim);
  const std::int64_t width = std::int64_t{args.q_heads + 2 * args.kv_heads} * args.head_dim;
  check_activation(exec, op, "qkv", args.qkv, {kAnyExtent, width});
  const DType dtype = args.qkv.dtype;
  const std::int64_t tokens = args.qkv.rows();
  check_view(exec, op, "positions", args.positions, DType::i32, {tokens});
  check_view(exec, op, "slots", args.slots, DType::i32, {tokens});
  check_view(exec, op, "inv_freq", args.inv_freq, DType::f32, {args.head_dim / 2});
  check_view(exec, op, "k_pages", args.k_pages, dtype,
             {kAnyExtent, args.kv_heads, kAnyExtent, args.head_dim});
  check_view(exec, op, "v_pages", args.v_pages, dtype,
             {args.k_pages.shape[0], args.kv_heads, args.k_pages.shape[2], args.head_dim});
  check_that(args.k_pages.row_stride == args.v_pages.row_stride, op,
             "pages of k lie {} elements apart, those of v {}, wanted the same",
             args.k_pages.row_stride, args.v_pages.row_stride);
}

void check_slots(const RopeAppendArgs& args) {
  constexpr const char* op = "rope_append";
  const std::int64_t tokens = args.qkv.rows();
  const std::int64_t slots_end = args.k_pages.shape[0] * args.k_pages.shape[2];
  const auto* slots = static_cast<const std::int32_t*>(args.slots.data);
  for (std::int64_t t = 0; t < tokens; ++t) {
    const std::int64_t slot = slots[t * args.slots.row_stride];
    check_that(slot >= 0 && slot < slots_end, op, "token {} has slot {}, wanted one in [0, {})", t,
               slot, slots_end);
  }
}

}  // namespace

void rope_append(const Exec& exec, const RopeAppendArgs& args) {
  check_rope(exec, args);
  if (on_device(exec, "rope_append")) {
    return exec.ops->rope_append(exec, args);
  }
  check_slots(args);
  const std::int64_t tokens = args.qkv.rows();
  [[maybe_unused]] const int threads = threads_for(exec, tokens * args.qkv.shape[1]);
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
  for (std::int64_t t = 0; t < tokens; ++t) {
    rope_token(args, t);
  }
}

}  // namespace tutti
