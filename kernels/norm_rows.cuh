// What norms of whole rows share: a block a row, its threads along the columns, eight of them at a
// time where addresses allow it.
#pragma once

#include <algorithm>

#include "kernels/cuda_launch.cuh"
#include "kernels/cuda_vectors.cuh"

namespace tutti {

// So that a block finds room beside those of the products around it.
inline constexpr int kNormThreads = 512;

// Calls use(column) for every kStep-th column of this thread.
template <int kStep, typename Use>
__device__ inline void each_column(int dim, const Use& use) {
  for (int c = static_cast<int>(threadIdx.x) * kStep; c < dim;
       c += static_cast<int>(blockDim.x) * kStep) {
    use(c);
  }
}

template <int kStep, typename T>
__device__ inline void load_columns(const T* from, float (&v)[kStep]) {
  if constexpr (kStep == kLanes) {
    load8(from, v);
  } else {
    v[0] = widen(*from);
  }
}

template <int kStep, typename T>
__device__ inline void store_columns(T* to, const float (&v)[kStep]) {
  if constexpr (kStep == kLanes) {
    store8(to, v);
  } else {
    *to = narrow<T>(v[0]);
  }
}

// Threads of a block for rows of `dim`, in whole warps.
inline dim3 norm_block(std::int64_t dim, bool vectors) {
  const std::int64_t wanted = vectors ? dim / kLanes : dim;
  return dim3(
      static_cast<unsigned>(std::clamp<std::int64_t>((wanted + 31) / 32 * 32, 32, kNormThreads)));
}

inline const float* floats_of(const TensorView& view) {
  return view.dims == 0 ? nullptr : static_cast<const float*>(view.data);
}

// Whether f32 vectors of weights can be walked by vectors; an empty one can.
inline bool aligned_weights(std::initializer_list<TensorView> weights) {
  return std::all_of(weights.begin(), weights.end(), [](const TensorView& view) {
    return reinterpret_cast<std::uintptr_t>(view.data) % 16 == 0;
  });
}

}  // namespace tutti
