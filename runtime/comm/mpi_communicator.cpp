#include "runtime/comm/mpi_communicator.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "runtime/comm/mpi_handle.hpp"
#include "runtime/comm/ordered_sum.hpp"

namespace tutti {
namespace {

// Elements of a tensor that travel at a time: bounds the buffers, and MPI counts in int.
constexpr std::size_t kSliceElements = std::size_t{1} << 20;
// Up to here every rank adds everything: fewer messages weigh more than doing the work once.
constexpr std::size_t kGatherElements = 4096;

}  // namespace

MpiCommunicator::MpiCommunicator(const MpiGroup& group)
    : group_(group.duplicate()),
      parts_(static_cast<std::size_t>(group.size())),
      piece_counts_(parts_.size()),
      piece_begins_(parts_.size()),
      counts_(parts_.size()),
      begins_(parts_.size()) {}

CollectiveCall MpiCommunicator::next(std::string_view collective) {
  return {.path = name(),
          .collective = collective,
          .sequence = ++sequence_,
          .rank = rank(),
          .size = size()};
}

void MpiCommunicator::all_reduce_sum(const Exec& exec, const TensorView& x) {
  const CollectiveCall call = next("all_reduce_sum");
  check_all_reduce(call, exec, x);
  if (size() == 1) {
    return;
  }
  const auto total = static_cast<std::size_t>(x.elements());
  for (std::size_t begin = 0; begin < total; begin += kSliceElements) {
    const std::size_t count = std::min(kSliceElements, total - begin);
    float* slice = static_cast<float*>(x.data) + begin;
    if (count <= kGatherElements) {
      gather_and_add(call, slice, count);
    } else {
      add_by_pieces(call, slice, count);
    }
  }
}

// Whole slices of all ranks to all ranks, each adds them all.
void MpiCommunicator::gather_and_add(const CollectiveCall& call, float* x, std::size_t count) {
  const RankState::Waiting waiting(group_.state(), call);
  received_.resize(std::max(received_.size(), count * parts_.size()));
  const int n = static_cast<int>(count);
  TUTTI_MPI(MPI_Allgather(x, n, MPI_FLOAT, received_.data(), n, MPI_FLOAT, group_.handle().comm),
            call);
  for (std::size_t r = 0; r < parts_.size(); ++r) {
    parts_[r] = received_.data() + r * count;
  }
  ordered_sum(parts_, count, x);
}

// Piece r of all ranks to rank r, which adds them and sends the sum to all.
void MpiCommunicator::add_by_pieces(const CollectiveCall& call, float* x, std::size_t count) {
  const RankState::Waiting waiting(group_.state(), call);
  const std::size_t begin = piece_begin(count, rank(), size());
  const std::size_t length = piece_begin(count, rank() + 1, size()) - begin;
  received_.resize(std::max(received_.size(), length * parts_.size()));
  for (int r = 0; r < size(); ++r) {
    const auto i = static_cast<std::size_t>(r);
    piece_begins_[i] = static_cast<int>(piece_begin(count, r, size()));
    piece_counts_[i] = static_cast<int>(piece_begin(count, r + 1, size())) - piece_begins_[i];
    begins_[i] = static_cast<int>(i * length);
    counts_[i] = static_cast<int>(length);
    parts_[i] = received_.data() + i * length;
  }
  TUTTI_MPI(
      MPI_Alltoallv(x, piece_counts_.data(), piece_begins_.data(), MPI_FLOAT, received_.data(),
                    counts_.data(), begins_.data(), MPI_FLOAT, group_.handle().comm),
      call);
  ordered_sum(parts_, length, x + begin);
  TUTTI_MPI(MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, x, piece_counts_.data(),
                           piece_begins_.data(), MPI_FLOAT, group_.handle().comm),
            call);
}

void MpiCommunicator::all_gather_columns(const Exec& exec, const TensorView& local,
                                         std::span<const std::int64_t> columns,
                                         const TensorView& y) {
  gather(next("all_gather_columns"), exec, local, columns, y, kEveryRank);
}

void MpiCommunicator::gather_columns(const Exec& exec, const TensorView& local,
                                     std::span<const std::int64_t> columns, const TensorView& y,
                                     int root) {
  gather(next("gather_columns"), exec, local, columns, y, root);
}

void MpiCommunicator::gather(const CollectiveCall& call, const Exec& exec, const TensorView& local,
                             std::span<const std::int64_t> columns, const TensorView& y, int root) {
  check_gather_columns(call, exec, local, columns, y, root);
  if (size() == 1) {
    copy_matrix(local, y);
    return;
  }
  const std::int64_t width = columns_before(columns, size());
  if (width == 0) {
    return;
  }
  if (width > std::numeric_limits<int>::max()) {
    throw CommError(
        fmt::format("{}: wants rows of less than 2^31 elements, found {}", describe(call), width));
  }
  const bool here = root == kEveryRank || rank() == root;
  const std::int64_t most =
      std::max(std::int64_t{1}, static_cast<std::int64_t>(4 * kSliceElements) / width);
  for (std::int64_t row = 0; row < local.rows(); row += most) {
    const Range rows{row, std::min(row + most, local.rows())};
    gather_rows(call, local.row_slice(rows), columns, here ? y.row_slice(rows) : y, root);
  }
}

// One row travels from and to where it lies; several are packed, since MPI gathers whole blocks.
void MpiCommunicator::gather_rows(const CollectiveCall& call, const TensorView& local,
                                  std::span<const std::int64_t> columns, const TensorView& y,
                                  int root) {
  const RankState::Waiting waiting(group_.state(), call);
  const std::int64_t rows = local.rows();
  const bool here = root == kEveryRank || rank() == root;
  for (int r = 0; r < size(); ++r) {
    const auto i = static_cast<std::size_t>(r);
    counts_[i] = static_cast<int>(rows * columns[i]);
    begins_[i] = static_cast<int>(rows * columns_before(columns, r));
  }
  const float* from = static_cast<const float*>(local.data);
  if (rows > 1 && !local.contiguous()) {
    packed_.resize(std::max(packed_.size(), static_cast<std::size_t>(local.elements())));
    copy_matrix(local, {packed_.data(), DType::f32, Place::host, {rows, local.shape[1]}});
    from = packed_.data();
  }
  float* to = static_cast<float*>(y.data);
  if (rows > 1 && here) {
    received_.resize(std::max(received_.size(), static_cast<std::size_t>(y.elements())));
    to = received_.data();
  }
  const int count = static_cast<int>(local.elements());
  if (root == kEveryRank) {
    TUTTI_MPI(MPI_Allgatherv(from, count, MPI_FLOAT, to, counts_.data(), begins_.data(), MPI_FLOAT,
                             group_.handle().comm),
              call);
  } else {
    TUTTI_MPI(MPI_Gatherv(from, count, MPI_FLOAT, to, counts_.data(), begins_.data(), MPI_FLOAT,
                          root, group_.handle().comm),
              call);
  }
  for (int r = 0; r < size() && rows > 1 && here; ++r) {
    const auto i = static_cast<std::size_t>(r);
    const std::int64_t begin = columns_before(columns, r);
    copy_matrix({to + begins_[i], DType::f32, Place::host, {rows, columns[i]}},
                y.column_slice({begin, begin + columns[i]}));
  }
}

}  // namespace tutti
