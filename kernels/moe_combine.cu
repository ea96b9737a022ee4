// A block takes some columns of a token; a thread eight, where they are vectors, with the rows of
// eight experts in flight.
#include "kernels/cuda_launch.cuh"
#include "kernels/cuda_vectors.cuh"
#include "kernels/expert_groups.hpp"
#include "kernels/moe_combine.hpp"

namespace tutti {
namespace {

constexpr int kThreads = 64;
constexpr int kAtOnce = 8;
static_assert(kMostChosen <= 32, "a lane an expert");

template <typename T>
struct Combine {
  const T* x;
  const int* ids;
  const float* weights;
  const T* shared;           // or null
  const float* shared_gate;  // or null
  T* y;
  std::int64_t x_stride;
  std::int64_t ids_stride;
  std::int64_t weights_stride;
  std::int64_t shared_stride;
  std::int64_t gate_stride;
  std::int64_t y_stride;
  std::int64_t first;
  std::int64_t experts;
  int top_k;
  int dim;
};

template <typename T, int kStep>
__global__ void __launch_bounds__(kThreads) moe_combine_kernel(Combine<T> combine) {
  release_dependents();
  wait_for_predecessor();
  const std::int64_t token = blockIdx.x;
  const int column = static_cast<int>(blockIdx.y * kThreads + threadIdx.x) * kStep;
  const int from = min(column, combine.dim - kStep);  // threads beyond repeat the last ones' work
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const std::int64_t id =
      lane < combine.top_k ? combine.ids[token * combine.ids_stride + lane] : -1;
  const float weight =
      lane < combine.top_k ? combine.weights[token * combine.weights_stride + lane] : 0.0f;
  const T* const x = combine.x + token * combine.top_k * combine.x_stride + from;
  float sums[kStep] = {};
  if (combine.shared != nullptr) {
    Piece<T, kStep>::plain(combine.shared + token * combine.shared_stride + from).widen_to(sums);
    if (combine.shared_gate != nullptr) {
      const float gate = 1.0f / (1.0f + expf(-combine.shared_gate[token * combine.gate_stride]));
#pragma unroll
      for (int i = 0; i < kStep; ++i) {
        sums[i] *= gate;
      }
    }
  }
  for (int first = 0; first < combine.top_k; first += kAtOnce) {
    // Rows of others are read too, though not used: to know them first would be a wait of its own.
    Piece<T, kStep> rows[kAtOnce];
#pragma unroll
    for (int j = 0; j < kAtOnce; ++j) {
      if (first + j < combine.top_k) {
        rows[j] = Piece<T, kStep>::plain(x + (first + j) * combine.x_stride);
      }
    }
    const unsigned ours =
        __ballot_sync(0xffffffffu, id >= combine.first && id < combine.first + combine.experts);
#pragma unroll
    for (int j = 0; j < kAtOnce; ++j) {
      const float factor = __shfl_sync(0xffffffffu, weight, first + j);
      if ((ours >> (first + j) & 1) != 0) {
        float row[kStep];
        rows[j].widen_to(row);
#pragma unroll
        for (int i = 0; i < kStep; ++i) {
          sums[i] = fmaf(factor, row[i], sums[i]);
        }
      }
    }
  }
  if (column >= combine.dim) {
    return;
  }
  T* const y = combine.y + token * combine.y_stride + column;
  if constexpr (kStep == kLanes) {
    store8(y, sums);
  } else {
    *y = narrow<T>(sums[0]);
  }
}

}  // namespace

void moe_combine_cuda(CudaContext& context, const Exec& exec, const MoeCombineArgs& args) {
  const auto dim = static_cast<int>(args.y.shape[1]);
  with_cuda_type(args.y.dtype, [&](auto zero) {
    using T = decltype(zero);
    const auto rows = [](const TensorView& view) {
      return view.dims == 0 ? nullptr : static_cast<const T*>(view.data);
    };
    const auto floats = [](const TensorView& view) {
      return view.dims == 0 ? nullptr : static_cast<const float*>(view.data);
    };
    const bool vectors =
        takes_vectors({args.x, args.y}) && (args.shared.dims == 0 || takes_vectors({args.shared}));
    const int columns = kThreads * (vectors ? kLanes : 1);
    launch(context, exec, "moe_combine",
           vectors ? &moe_combine_kernel<T, kLanes> : &moe_combine_kernel<T, 1>,
           dim3(static_cast<unsigned>(args.y.rows()),
                static_cast<unsigned>((dim + columns - 1) / columns)),
           dim3(kThreads), 0,
           Combine<T>{.x = rows(args.x),
                      .ids = static_cast<const int*>(args.ids.data),
                      .weights = floats(args.weights),
                      .shared = rows(args.shared),
                      .shared_gate = floats(args.shared_gate),
                      .y = static_cast<T*>(args.y.data),
                      .x_stride = args.x.row_stride,
                      .ids_stride = args.ids.row_stride,
                      .weights_stride = args.weights.row_stride,
                      .shared_stride = args.shared.row_stride,
                      .gate_stride = args.shared_gate.row_stride,
                      .y_stride = args.y.row_stride,
                      .first = args.first,
                      .experts = args.experts,
                      .top_k = static_cast<int>(args.ids.shape[1]),
                      .dim = dim});
  });
}

}  // namespace tutti
