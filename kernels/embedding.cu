// Rows of a table, copied as they are or widened.
#include "kernels/cuda_launch.cuh"
#include "kernels/cuda_vectors.cuh"

namespace tutti {
namespace {

constexpr int kThreads = 256;

template <typename T, typename Y>
struct Lookup {
  const std::int32_t* ids;
  const std::int32_t* source;  // or null
  const std::int32_t* last;
  const T* table;
  Y* y;
  std::int64_t ids_stride;
  std::int64_t source_stride;
  std::int64_t last_stride;
  std::int64_t table_stride;
  std::int64_t y_stride;
  std::int64_t first_row;
  std::int64_t table_rows;
  std::int64_t hidden;
  float scale;  // looked at where kExtras
  bool add;
};

// The table's row of a token, below 0 or past the end where another rank owns it.
template <typename T, typename Y>
__device__ inline std::int64_t row_of(const Lookup<T, Y>& lookup, std::int64_t token) {
  std::int32_t slot = -1;
  if (lookup.source != nullptr) {
    slot = lookup.source[token * lookup.source_stride];
  }
  const std::int32_t id =
      slot < 0 ? lookup.ids[token * lookup.ids_stride] : lookup.last[slot * lookup.last_stride];
  return id - lookup.first_row;
}

// A token and up to 2,048 of its columns a block. The table may be activations (rows that are
// gathered), so that it is read after the wait.
template <typename T, typename Y, bool kVectors, bool kExtras>
__global__ void __launch_bounds__(kThreads) embedding_kernel(Lookup<T, Y> lookup) {
  release_dependents();
  wait_for_predecessor();
  const std::int64_t token = blockIdx.x;
  const std::int64_t column = (std::int64_t{blockIdx.y} * kThreads + threadIdx.x) * kLanes;
  if (column >= lookup.hidden) {
    return;
  }
  const std::int64_t row = row_of(lookup, token);
  const bool owned = row >= 0 && row < lookup.table_rows;
  const T* from = lookup.table + (owned ? row : 0) * lookup.table_stride + column;
  Y* to = lookup.y + token * lookup.y_stride + column;
  if (kVectors) {
    float v[kLanes] = {};
    if (owned) {
      load8(from, v);
    }
    if constexpr (kExtras) {
      float before[kLanes] = {};
      if (lookup.add) {
        load8(to, before);
      }
#pragma unroll
      for (int i = 0; i < kLanes; ++i) {
        v[i] = before[i] + widen(narrow<T>(v[i] * lookup.scale));
      }
    }
    store8(to, v);
  } else {
    for (int i = 0; i < kLanes && column + i < lookup.hidden; ++i) {
      float v = owned ? widen(from[i]) : 0.0f;
      if constexpr (kExtras) {
        v = widen(narrow<T>(v * lookup.scale)) + (lookup.add ? widen(to[i]) : 0.0f);
      }
      to[i] = narrow<Y>(v);
    }
  }
}

template <typename T, typename Y>
void embedding_as(CudaContext& context, const Exec& exec, const EmbeddingArgs& args) {
  const bool on_device_ids = args.source.dims != 0;
  const TensorView& table = args.table.matrix;
  const Lookup<T, Y> lookup{
      .ids = static_cast<const std::int32_t*>(args.ids.data),
      .source = on_device_ids ? static_cast<const std::int32_t*>(args.source.data) : nullptr,
      .last = static_cast<const std::int32_t*>(args.last.data),
      .table = static_cast<const T*>(table.data),
      .y = static_cast<Y*>(args.y.data),
      .ids_stride = args.ids.row_stride,
      .source_stride = args.source.row_stride,
      .last_stride = args.last.row_stride,
      .table_stride = table.row_stride,
      .y_stride = args.y.row_stride,
      .first_row = args.first_row,
      .table_rows = args.table.out(),
      .hidden = args.table.in(),
      .scale = args.scale,
      .add = args.add};
  constexpr std::int64_t kPerBlock = std::int64_t{kThreads} * kLanes;
  const dim3 grid(static_cast<unsigned>(args.ids.rows()),
                  static_cast<unsigned>((lookup.hidden + kPerBlock - 1) / kPerBlock));
  const bool vectors = takes_vectors({table, args.y});
  const bool extras = args.add || args.scale != 1;
  launch(context, exec, "embedding",
         extras
             ? vectors ? &embedding_kernel<T, Y, true, true> : &embedding_kernel<T, Y, false, true>
         : vectors ? &embedding_kernel<T, Y, true, false>
                   : &embedding_kernel<T, Y, false, false>,
         grid, dim3(kThreads), 0, lookup);
}

}  // namespace

void embedding_cuda(CudaContext& context, const Exec& exec, const EmbeddingArgs& args) {
  with_cuda_type(args.table.matrix.dtype, [&](auto zero) {
    using T = decltype(zero);
    if (args.y.dtype == args.table.matrix.dtype) {
      embedding_as<T, T>(context, exec, args);
    } else {
      embedding_as<T, float>(context, exec, args);
    }
  });
}

}  // namespace tutti
