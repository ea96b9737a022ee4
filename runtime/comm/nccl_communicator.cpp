#include "runtime/comm/nccl_communicator.hpp"

#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <algorithm>

#include "kernels/cuda_context.cuh"
#include "kernels/error.hpp"

namespace tutti {
namespace {

ncclDataType_t nccl_type(DType dtype) {
  return dtype == DType::f16 ? ncclFloat16 : dtype == DType::bf16 ? ncclBfloat16 : ncclFloat32;
}

cudaStream_t stream_of(const Exec& exec) {
  return static_cast<cudaStream_t>(exec.stream);
}

// NCCL's symmetric kernels (2.28.3) round what begins at no multiple of 16 bytes, and say nothing.
constexpr std::size_t kAlignment = 16;

void check_alignment(const CollectiveCall& call, const TensorView& x) {
  if (reinterpret_cast<std::uintptr_t>(x.data) % kAlignment != 0) {
    throw CommError(fmt::format("{}: x begins {} bytes behind a multiple of {}, wanted at one",
                                describe(call),
                                reinterpret_cast<std::uintptr_t>(x.data) % kAlignment, kAlignment));
  }
}

std::int64_t aligned_columns(std::int64_t columns) {
  constexpr std::int64_t kFloats = kAlignment / sizeof(float);
  return (columns + kFloats - 1) / kFloats * kFloats;
}

}  // namespace

std::string NcclCommunicator::where() const {
  return fmt::format("nccl: rank {} of {}{}{}", rank(), size(), options_.host.empty() ? "" : " on ",
                     options_.host);
}

// Also where a failed group is met again: the watchdog's words, not what NCCL makes of it.
CollectiveCall NcclCommunicator::next(const char* collective) {
  check();
  last_ = collective;
  return {.path = "nccl",
          .collective = collective,
          .sequence = ++sequence_,
          .rank = rank(),
          .size = size(),
          .place = Place::cuda};
}

void NcclCommunicator::check() {
  if (!watchdog_) {
    return;
  }
  if (const std::string why = watchdog_->failure(); !why.empty()) {
    throw CommError(fmt::format("{}: {}", where(), why));
  }
}

void NcclCommunicator::watch(std::string_view stage) {
  if (watchdog_) {
    watchdog_->watch(stage);
  }
  if (options_.waiting) {
    options_.waiting(stage);
  }
}

void NcclCommunicator::all_reduce_sum(const Exec& exec, const TensorView& x) {
  const CollectiveCall call = next("all_reduce_sum");
  check_all_reduce(call, exec, x);
  check_alignment(call, x);
  if (x.empty()) {
    return;
  }
  if (options_.fused && fused_ && fused_->takes(x)) {
    fused_->sum(exec, x);
    return;
  }
  wait_for_all_before(exec);
  handle_->run("ncclAllReduce", [&] {
    return ncclAllReduce(x.data, x.data, static_cast<std::size_t>(x.elements()), nccl_type(x.dtype),
                         ncclSum, handle_->get(), stream_of(exec));
  });
}

void NcclCommunicator::all_reduce_add_rmsnorm(const Exec& exec, const AddRmsnormArgs& args) {
  if (!options_.fused || !fused_ || !fused_->takes(args)) {
    Communicator::all_reduce_add_rmsnorm(exec, args);
    return;
  }
  const CollectiveCall call = next("all_reduce_add_rmsnorm");
  check_all_reduce(call, exec, args.x);
  check_alignment(call, args.x);
  const std::int64_t dim = args.x.row_elements();
  const auto fits = [&](const TensorView& view, DType dtype) {
    return view.place == Place::cuda && view.dtype == dtype && view.rows() == args.x.rows() &&
           view.row_elements() == dim;
  };
  if (!fits(args.residual, DType::f32) || !fits(args.y, args.x.dtype) ||
      args.weight.place != Place::cuda || args.weight.dtype != DType::f32 ||
      args.weight.elements() != dim) {
    throw CommError(fmt::format(
        "{}: wants residual f32, weight f32 [dim] and y as x, which is {}; found {}, {} and {}",
        describe(call), describe(args.x), describe(args.residual), describe(args.weight),
        describe(args.y)));
  }
  fused_->add_rmsnorm(exec, args);
}

void NcclCommunicator::all_gather_columns(const Exec& exec, const TensorView& local,
                                          std::span<const std::int64_t> columns,
                                          const TensorView& y) {
  const CollectiveCall call = next("all_gather_columns");
  check_gather_columns(call, exec, local, columns, y, kEveryRank);
  const std::int64_t widest = aligned_columns(*std::max_element(columns.begin(), columns.end()));
  if (local.rows() == 0 || widest == 0) {
    return;
  }
  wait_for_all_before(exec);
  if (local.rows() == 1) {
    gather_one_row(exec, local, columns, y);
    return;
  }
  const auto row_bytes = static_cast<std::size_t>(widest * size()) * sizeof(float);
  if (row_bytes > options_.gather_bytes) {
    throw CommError(fmt::format("{}: a row of all ranks takes {} bytes of working memory, found {}",
                                describe(call), row_bytes, options_.gather_bytes));
  }
  const auto most = static_cast<std::int64_t>(options_.gather_bytes / row_bytes);
  for (std::int64_t row = 0; row < local.rows(); row += most) {
    const Range rows{row, std::min(row + most, local.rows())};
    gather_rows(exec, local.row_slice(rows), columns, widest, y.row_slice(rows));
  }
}

void NcclCommunicator::gather_one_row(const Exec& exec, const TensorView& local,
                                      std::span<const std::int64_t> columns, const TensorView& y) {
  auto* to = static_cast<float*>(y.data);
  const auto mine = static_cast<std::size_t>(columns[0]);
  const bool even = std::equal(columns.begin() + 1, columns.end(), columns.begin());
  if (even) {
    handle_->run("ncclAllGather", [&] {
      return ncclAllGather(local.data, to, mine, ncclFloat32, handle_->get(), stream_of(exec));
    });
    return;
  }
  handle_->run("ncclBroadcast", [&] {
    ncclResult_t result = ncclGroupStart();
    for (int root = 0; root < size(); ++root) {
      const auto count = static_cast<std::size_t>(columns[static_cast<std::size_t>(root)]);
      float* part = to + columns_before(columns, root);
      if (count > 0 && result == ncclSuccess) {
        result = ncclBroadcast(root == rank() ? local.data : part, part, count, ncclFloat32, root,
                               handle_->get(), stream_of(exec));
        result = result == ncclInProgress ? ncclSuccess : result;
      }
    }
    const ncclResult_t end = ncclGroupEnd();
    return result == ncclSuccess ? end : result;
  });
}

void NcclCommunicator::gather_rows(const Exec& exec, const TensorView& local,
                                   std::span<const std::int64_t> columns, std::int64_t widest,
                                   const TensorView& y) {
  const auto bytes = [](std::int64_t count) {
    return static_cast<std::size_t>(count) * sizeof(float);
  };
  const auto copy = [&](void* to, std::int64_t to_stride, const void* from,
                        std::int64_t from_stride, std::int64_t width) {
    if (width > 0) {
      TUTTI_CUDA(cudaMemcpy2DAsync(to, bytes(to_stride), from, bytes(from_stride), bytes(width),
                                   static_cast<std::size_t>(local.rows()), cudaMemcpyDeviceToDevice,
                                   stream_of(exec)));
    }
  };
  const std::int64_t part = local.rows() * widest;
  float* const mine = staging_ + rank() * part;
  copy(mine, widest, local.data, local.row_stride, local.shape[1]);
  handle_->run("ncclAllGather", [&] {
    return ncclAllGather(mine, staging_, static_cast<std::size_t>(part), ncclFloat32,
                         handle_->get(), stream_of(exec));
  });
  for (int from = 0; from < size(); ++from) {
    copy(static_cast<float*>(y.data) + columns_before(columns, from), y.row_stride,
         staging_ + from * part, widest, columns[static_cast<std::size_t>(from)]);
  }
}

void NcclCommunicator::gather_columns(const Exec&, const TensorView&, std::span<const std::int64_t>,
                                      const TensorView&, int) {
  throw CommError(fmt::format("{}: wants a group on hosts; a group of GPUs has all_gather_columns",
                              describe(next("gather_columns"))));
}

}  // namespace tutti
