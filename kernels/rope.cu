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

template <typename T, int kPairs>
void rope_append_as(CudaContext& context, const Exec& exec, const RopeAppendArgs& args) {
  const Rope<T> rope{.qkv = static_cast<T*>(args.qkv.data),
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
  const int units = (args.q_heads + 2 * args.kv_heads) * (args.head_dim / 2 / kPairs);
  launch(context, exec, "rope_append", &rope_append_kernel<T, kPairs>,
         dim3(static_cast<unsigned>(args.qkv.rows()),
              static_cast<unsigned>((units + kThreads - 1) / kThreads)),
         dim3(kThreads), 0, rope);
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
    if (takes_pairs(args)) {
      rope_append_as<T, 2>(context, exec, args);
    } else {
      rope_append_as<T, 1>(context, exec, args);
    }
  });
}

}  // namespace tutti
