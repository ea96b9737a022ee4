// What the communicators check before a collective, and how they name it in errors.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "kernels/exec.hpp"

namespace tutti {

struct CollectiveCall {
  std::string_view path;        // "mpi", "threads", "nccl"
  std::string_view collective;  // "all_reduce_sum"
  std::uint64_t sequence = 0;   // counted from 1 on each communicator, equal on all ranks
  int rank = 0;
  int size = 1;
  Place place = Place::host;  // where this communicator's tensors lie
};

// For a gather: not one root, but every rank.
inline constexpr int kEveryRank = -1;

// "mpi: all_reduce_sum #12 on rank 3 of 4"
std::string describe(const CollectiveCall& call);

// Both throw CommError where the arguments are not what communicator.hpp asks for; root may be
// kEveryRank.
void check_all_reduce(const CollectiveCall& call, const Exec& exec, const TensorView& x);
void check_gather_columns(const CollectiveCall& call, const Exec& exec, const TensorView& local,
                          std::span<const std::int64_t> columns, const TensorView& y, int root);

// Columns of the ranks before `rank`.
std::int64_t columns_before(std::span<const std::int64_t> columns, int rank);

// Row by row; both views are [rows, columns] f32 on the host and do not overlap, or are the same.
void copy_matrix(const TensorView& from, const TensorView& to);

// Where one rank's part of count elements begins when `ranks` share the work of adding them.
std::size_t piece_begin(std::size_t count, int rank, int ranks);

}  // namespace tutti
