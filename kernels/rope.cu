// Two neighbouring pairs of a head a thread, so that one token is spread over many blocks.
#include <algorithm>

#include "kernels/cuda_launch.cuh"
#include "kernels/cuda_types.cuh"

namespace tutti {
namespace {

constexpr int kThreads = 128;

// Sine and cosine of an angle below 2^20 within 2 ulp of the larger of the two: pi/2 is taken off
// in three parts whose products are exact in a fused multiply-add (Cody & Waite 1980), the rest by
// the minimax polynomials of Cephes (Moshier). The toolkit's sincosf keeps local memory for the
// angles past 105,615 that positions reach.
__device__ inline void sine_cosine(float angle, float& sine, float& cosine) {
  const float n = rintf(angle * 0.636619747f);
  float r = fmaf(n, -0x1.921fb4p+0f, angle);
  r = fmaf(n, -0x1.4442d0p-24f, r);
  r = fmaf(n, -0x1.84698ap-48f, r);
  const float r2 = r * r;
  float s = fmaf(r2, -1.9515295891e-4f, 8.3321608736e-3f);
  s = fmaf(r2, s, -1.6666654611e-1f);
  s = fmaf(r2 * r, s, r);
  float c = fmaf(r2, 2.443315711809948e-5f, -1.388731625493765e-3f);
  c = fmaf(r2, c, 4.166664568298827e-2f);
  c = fmaf(r2 * r2, c, fmaf(r2, -0.5f, 1.0f));
  const int quadrant = static_cast<int>(n);
  const bool swapped = (quadrant & 1) != 0;
  sine = swapped ? c : s;
  cosine = swapped ? s : c;
  sine = (quadrant & 2) != 0 ? -sine : sine;
  cosine = ((quadrant + 1) & 2) != 0 ? -cosine : cosine;
}

template <typename T>
struct Rope {
  T* qkv;
  const std::int32_t* positions;
  const std::int32_t* slots;
  const float* inv_freq;
  T* k_pages;
  T* v_pages;
  std::int64_t qkv_stride;
  std::int64_t positions_stride;
  std::int64_t slots_stride;
  std::int64_t page_stride;
  float magnitude;
  int q_heads;
  int kv_heads;
  int head_dim;
  int page_size;
};

template <typename T, int kPairs>
struct alignas(sizeof(T) * kPairs) Few {
  T at[kPairs];
};

// blockIdx.x: the token; along y: (head, kPairs pairs) of the heads of q, then k, then v.
template <typename T, int kPairs>
__global__ void __launch_bounds__(kThreads) rope_append_kernel(Rope<T> rope) {
  using Vector = Few<T, kPairs>;
  release_dependents();
  const int half = rope.head_dim / 2;
  const int per_head = half / kPairs;
  const int unit = static_cast<int>(blockIdx.y * kThreads + threadIdx.x);
  const int head = unit / per_head;
  if (head >= rope.q_heads + 2 * rope.kv_heads) {
    return;
  }
  const int pair = unit % per_head * kPairs;
  float frequency[kPairs];
#pragma unroll
  for (int i = 0; i < kPairs; ++i) {
    frequency[i] = rope.inv_freq[pair + i];
  }
  wait_for_predecessor();
  const std::int64_t token = blockIdx.x;
  const auto position = static_cast<float>(rope.positions[token * rope.positions_stride]);
  const std::int32_t slot = rope.slots[token * rope.slots_stride];
  T* from = rope.qkv + token * rope.qkv_stride + std::int64_t{head} * rope.head_dim + pair;
  Vector a = *reinterpret_cast<const Vector*>(from);
  Vector b = *reinterpret_cast<const Vector*>(from + half);
  if (head < rope.q_heads + rope.kv_heads) {
#pragma unroll
    for (int i = 0; i < kPairs; ++i) {
      float sine;
      float cosine;
      sine_cosine(position * frequency[i], sine, cosine);
      sine *= rope.magnitude;
      cosine *= rope.magnitude;
      const float x = widen(a.at[i]);
      const float y = widen(b.at[i]);
      a.at[i] = narrow<T>(x * cosine - y * sine);
      b.at[i] = narrow<T>(y * cosine + x * sine);
    }
  }
  T* to = from;
  if (head >= rope.q_heads) {
    if (slot < 0) {
      return;
    }
    const bool value = head >= rope.q_heads + rope.kv_heads;
    const int kv_head = head - rope.q_heads - (value ? rope.kv_heads : 0);
    const std::int64_t page = slot / rope.page_size;
    const std::int64_t row = std::int64_t{kv_head} * rope.page_size + slot % rope.page_size;
    to = (value ? rope.v_pages : rope.k_pages) + page * rope.page_stride + row * rope.head_dim +
         pair;
  }
  *reinterpret_cast<Vector*>(to) = a;
  *reinterpret_cast<Vector*>(to + half) = b;
}

template <typename T>
Rope<T> rope_of(const RopeAppendArgs& args) {
  return {.qkv = static_cast<T*>(args.qkv.data),
          .positions = static_cast<const std::int32_t*>(args.positions.data),
          .slots = static_cast<const std::int32_t*>(args.slots.data),
          .inv_freq = static_cast<const float*>(args.inv_freq.data),
          .k_pages = static_cast<T*>(args.k_pages.data),
          .v_pages = static_cast<T*>(args.v_pages.data),
          .qkv_stride = args.qkv.row_stride,
          .positions_stride = args.positions.row_stride,
          .slots_stride = args.slots.row_stride,
          .page_stride = args.k_pages.row_stride,
          .magnitude = args.magnitude,
          .q_heads = args.q_heads,
          .kv_heads = args.kv_heads,
          .head_dim = args.head_dim,
          .page_size = static_cast<int>(args.k_pages.shape[2])};
}

template <typename T, int kPairs>
void rope_append_as(CudaContext& context, const Exec& exec, const RopeAppendArgs& args) {
  const int units = (args.q_heads + 2 * args.kv_heads) * (args.head_dim / 2 / kPairs);
  launch(context, exec, "rope_append", &rope_append_kernel<T, kPairs>,
         dim3(static_cast<unsigned>(args.qkv.rows()),
              static_cast<unsigned>((units + kThreads - 1) / kThreads)),
         dim3(kThreads), 0, rope_of<T>(args));
}

constexpr int kHeadWarps = 4;
constexpr int kHeadElements = 16;  // of a lane: heads of up to 512

// RopeNorm and how much is rotated, for heads that want more than a rotation of the whole.
struct HeadExtras {
  int half;  // pairs that are rotated
  const float* weights[2];
  const float* squares;  // or null: each head's own
  std::int64_t squares_stride;
  float widths[2];
  float eps;
};

// A head in a lane's registers, every 32nd element its own, is normalised.
template <typename T>
__device__ inline void norm_head(const Rope<T>& rope, const HeadExtras& extras, std::int64_t token,
                                 int head, float (&v)[kHeadElements]) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const bool key = head >= rope.q_heads;
  const float* weight = extras.weights[key ? 1 : 0];
  if (weight == nullptr || head >= rope.q_heads + rope.kv_heads) {
    return;
  }
  float mean = 0;
  if (extras.squares != nullptr) {
    mean = extras.squares[token * extras.squares_stride + (key ? 1 : 0)] / extras.widths[key];
    weight += std::int64_t{key ? head - rope.q_heads : head} * rope.head_dim;
  } else {
#pragma unroll
    for (int i = 0; i < kHeadElements; ++i) {
      mean = fmaf(v[i], v[i], mean);
    }
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) {
      mean += __shfl_xor_sync(0xffffffffu, mean, distance);
    }
    mean /= static_cast<float>(rope.head_dim);
  }
  const float factor = 1.0f / sqrtf(mean + extras.eps);
#pragma unroll
  for (int i = 0; i < kHeadElements; ++i) {
    if (32 * i + lane < rope.head_dim) {
      v[i] = v[i] * factor * weight[32 * i + lane];
    }
  }
}

// blockIdx.x: the token; a warp a head of q, k or v.
template <typename T>
__global__ void __launch_bounds__(kHeadWarps * 32)
    rope_append_heads_kernel(Rope<T> rope, HeadExtras extras) {
  __shared__ float shared[kHeadWarps][32 * kHeadElements];
  release_dependents();
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int head = static_cast<int>(blockIdx.y * kHeadWarps + threadIdx.x / 32);
  if (head >= rope.q_heads + 2 * rope.kv_heads) {
    return;
  }
  wait_for_predecessor();
  const std::int64_t token = blockIdx.x;
  T* const from = rope.qkv + token * rope.qkv_stride + std::int64_t{head} * rope.head_dim;
  float v[kHeadElements];
#pragma unroll
  for (int i = 0; i < kHeadElements; ++i) {
    v[i] = 32 * i + lane < rope.head_dim ? widen(from[32 * i + lane]) : 0.0f;
  }
  norm_head(rope, extras, token, head, v);
  float* const normed = shared[threadIdx.x / 32];
#pragma unroll
  for (int i = 0; i < kHeadElements; ++i) {
    normed[32 * i + lane] = v[i];
  }
  __syncwarp();
  T* to = from;
  const bool value = head >= rope.q_heads + rope.kv_heads;
  if (head >= rope.q_heads) {
    const std::int32_t slot = rope.slots[token * rope.slots_stride];
    if (slot < 0) {
      return;
    }
    const int kv_head = head - rope.q_heads - (value ? rope.kv_heads : 0);
    const std::int64_t row = std::int64_t{kv_head} * rope.page_size + slot % rope.page_size;
    to = (value ? rope.v_pages : rope.k_pages) +
         std::int64_t{slot / rope.page_size} * rope.page_stride + row * rope.head_dim;
  }
  const auto position = static_cast<float>(rope.positions[token * rope.positions_stride]);
  for (int e = lane; e < rope.head_dim; e += 32) {
    float x = normed[e];
    if (!value && e < 2 * extras.half) {
      const bool first = e < extras.half;
      float sine;
      float cosine;
      sine_cosine(position * rope.inv_freq[first ? e : e - extras.half], sine, cosine);
      const float other = normed[first ? e + extras.half : e - extras.half];
      sine *= rope.magnitude;
      x = x * (cosine * rope.magnitude) + (first ? -other * sine : other * sine);
    }
    to[e] = narrow<T>(x);
  }
}

template <typename T>
void rope_append_heads(CudaContext& context, const Exec& exec, const RopeAppendArgs& args) {
  const auto floats = [](const TensorView& view) {
    return view.dims == 0 ? nullptr : static_cast<const float*>(view.data);
  };
  const RopeNorm& norm = args.norm;
  const HeadExtras extras{
      .half = static_cast<int>(args.inv_freq.rows()),
      .weights = {floats(norm.q_weight), floats(norm.k_weight)},
      .squares = floats(norm.squares),
      .squares_stride = norm.squares.row_stride,
      .widths = {static_cast<float>(norm.q_width), static_cast<float>(norm.k_width)},
      .eps = norm.eps};
  const int heads = args.q_heads + 2 * args.kv_heads;
  launch(context, exec, "rope_append", &rope_append_heads_kernel<T>,
         dim3(static_cast<unsigned>(args.qkv.rows()),
              static_cast<unsigned>((heads + kHeadWarps - 1) / kHeadWarps)),
         dim3(kHeadWarps * 32), 0, rope_of<T>(args), extras);
}

bool takes_pairs(const RopeAppendArgs& args) {
  const std::int64_t bytes = 2 * static_cast<std::int64_t>(size_of(args.qkv.dtype));
  const auto aligned = [&](const TensorView& view) {
    return reinterpret_cast<std::uintptr_t>(view.data) % static_cast<std::uintptr_t>(bytes) == 0 &&
           view.row_stride % 2 == 0;
  };
  return args.head_dim % 4 == 0 && aligned(args.qkv) && aligned(args.k_pages) &&
         aligned(args.v_pages);
}

}  // namespace

void rope_append_cuda(CudaContext& context, const Exec& exec, const RopeAppendArgs& args) {
  with_cuda_type(args.qkv.dtype, [&](auto zero) {
    using T = decltype(zero);
    const bool plain = 2 * args.inv_freq.rows() == args.head_dim && args.norm.q_weight.dims == 0 &&
                       args.norm.k_weight.dims == 0;
    if (!plain) {
      rope_append_heads<T>(context, exec, args);
    } else if (takes_pairs(args)) {
      rope_append_as<T, 2>(context, exec, args);
    } else {
      rope_append_as<T, 1>(context, exec, args);
    }
  });
}

}  // namespace tutti
