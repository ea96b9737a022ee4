#include "kernels/rope.hpp"

#include <algorithm>
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

// to = from * factor * weight; the factor follows from the mean of the squares of a head, or is
// given.
struct NormHead {
  template <int W>
  static TUTTI_INLINE void run(const float* from, float* to, const float* weight, float eps,
                               float mean, int dim) {
    using F = simd::F32<W>;
    F v;
    F w;
    if (mean < 0) {
      F sum = {};
      int i = 0;
      for (; i + W <= dim; i += W) {
        simd::load(v, from + i);
        sum += v * v;
      }
      if (i < dim) {
        simd::load_wide_tail<W>(v, from + i, dim - i);
        sum += v * v;
      }
      mean = simd::sum_lanes<W>(sum) / static_cast<float>(dim);
    }
    const float factor = 1.0f / std::sqrt(mean + eps);
    int i = 0;
    for (; i + W <= dim; i += W) {
      simd::load(v, from + i);
      simd::load(w, weight + i);
      simd::store(to + i, v * factor * w);
    }
    for (; i < dim; ++i) {
      to[i] = from[i] * factor * weight[i];
    }
  }
};

// The norm of a token's queries or keys.
struct Norm {
  const float* weight = nullptr;  // none: no norm
  std::int64_t weight_step = 0;   // from one head's to the next
  float eps = 0;
  float mean = -1;  // of the squares of all heads; below 0: each head has its own
};

Norm norm_of(const RopeNorm& norm, std::int64_t token, int head_dim, bool key) {
  const TensorView& weight = key ? norm.k_weight : norm.q_weight;
  Norm result;
  if (weight.dims == 0) {
    return result;
  }
  result.weight = static_cast<const float*>(weight.data);
  result.eps = norm.eps;
  if (norm.squares.dims != 0) {
    result.weight_step = head_dim;
    result.mean = norm.squares.row<float>(token)[key ? 1 : 0] /
                  static_cast<float>(key ? norm.k_width : norm.q_width);
  }
  return result;
}

struct Angles {
  int half = 0;  // pairs that are rotated
  std::array<float, kMaxHeadDim / 2> cosine;
  std::array<float, kMaxHeadDim / 2> sine;
};

// One head of queries or keys, normalised and rotated; from may be to.
void place_head(const RopeAppendArgs& args, const Norm& norm, const Angles& angles, int number,
                const float* from, float* to) {
  std::array<float, kMaxHeadDim> normed;
  if (norm.weight != nullptr) {
    multiversion<NormHead>(from, normed.data(), norm.weight + norm.weight_step * number, norm.eps,
                           norm.mean, args.head_dim);
    from = normed.data();
  }
  if (angles.half > 0) {
    multiversion<RotateHead>(from, to, static_cast<const float*>(angles.cosine.data()),
                             static_cast<const float*>(angles.sine.data()), angles.half);
  }
  if (from != to) {
    std::copy(from + 2 * angles.half, from + args.head_dim, to + 2 * angles.half);
  }
}

// Element offset of (slot, KV head) in the pages.
std::int64_t page_offset(const RopeAppendArgs& args, std::int64_t slot, int head) {
  const std::int64_t page_size = args.k_pages.shape[2];
  const std::int64_t page = slot / page_size;
  return page * args.k_pages.row_stride +
         (head * page_size + slot % page_size) * static_cast<std::int64_t>(args.head_dim);
}

Angles angles_of(const RopeAppendArgs& args, std::int64_t t) {
  const auto* positions = static_cast<const std::int32_t*>(args.positions.data);
  const auto* inv_freq = static_cast<const float*>(args.inv_freq.data);
  Angles angles;
  angles.half = static_cast<int>(args.inv_freq.rows());
  const float position = static_cast<float>(positions[t * args.positions.row_stride]);
  for (int i = 0; i < angles.half; ++i) {
    const float angle = position * inv_freq[i];  // f32, as the reference has it
    angles.cosine[static_cast<std::size_t>(i)] = std::cos(angle) * args.magnitude;
    angles.sine[static_cast<std::size_t>(i)] = std::sin(angle) * args.magnitude;
  }
  return angles;
}

void rope_token(const RopeAppendArgs& args, std::int64_t t) {
  const Angles angles = angles_of(args, t);
  const Norm q_norm = norm_of(args.norm, t, args.head_dim, false);
  float* head = args.qkv.row<float>(t);
  for (int h = 0; h < args.q_heads; ++h, head += args.head_dim) {
    place_head(args, q_norm, angles, h, head, head);
  }
  const Norm k_norm = norm_of(args.norm, t, args.head_dim, true);
  const std::int64_t slot =
      static_cast<const std::int32_t*>(args.slots.data)[t * args.slots.row_stride];
  const float* v = head + static_cast<std::int64_t>(args.kv_heads) * args.head_dim;
  for (int h = 0; h < args.kv_heads; ++h, head += args.head_dim, v += args.head_dim) {
    const std::int64_t offset = page_offset(args, slot, h);
    place_head(args, k_norm, angles, h, head, static_cast<float*>(args.k_pages.data) + offset);
    std::memcpy(static_cast<float*>(args.v_pages.data) + offset, v,
                static_cast<std::size_t>(args.head_dim) * sizeof(float));
  }
}

void check_norm(const Exec& exec, const RopeAppendArgs& args) {
  constexpr const char* op = "rope_append";
  const bool whole = args.norm.squares.dims != 0;
  if (whole) {
    check_view(exec, op, "norm.squares", args.norm.squares, DType::f32, {args.qkv.rows(), 2});
    check_that(args.norm.q_width > 0 && args.norm.k_width > 0, op,
               "norm.q_width is {} and norm.k_width {}, wanted the elements of all ranks",
               args.norm.q_width, args.norm.k_width);
  }
  if (args.norm.q_weight.dims != 0) {
    check_view(exec, op, "norm.q_weight", args.norm.q_weight, DType::f32,
               {std::int64_t{whole ? args.q_heads : 1} * args.head_dim});
  }
  if (args.norm.k_weight.dims != 0) {
    check_view(exec, op, "norm.k_weight", args.norm.k_weight, DType::f32,
               {std::int64_t{whole ? args.kv_heads : 1} * args.head_dim});
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
  if (args.inv_freq.dims != 0) {
    check_view(exec, op, "inv_freq", args.inv_freq, DType::f32, {kAnyExtent});
    check_that(2 * args.inv_freq.rows() <= args.head_dim, op,
               "inv_freq has {} frequencies, wanted at most {} (head_dim / 2)",
               args.inv_freq.rows(), args.head_dim / 2);
  }
  check_norm(exec, args);
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
