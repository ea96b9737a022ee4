#include "runtime/comm/collective_call.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "kernels/error.hpp"

namespace tutti {
namespace {

[[noreturn]] void refuse(const CollectiveCall& call, std::string_view wanted,
                         const std::string& found) {
  throw CommError(fmt::format("{}: wants {}, found {}", describe(call), wanted, found));
}

std::string_view word_for(Place place) {
  return place == Place::host ? "the host" : "a device";
}

void check_place(const CollectiveCall& call, std::string_view name, const TensorView& view,
                 bool narrow_too) {
  const bool typed = view.dtype == DType::f32 ||
                     (narrow_too && (view.dtype == DType::f16 || view.dtype == DType::bf16));
  if (view.place != call.place || !typed) {
    refuse(call,
           fmt::format("{} in f32{} on {}", name, narrow_too ? ", f16 or bf16" : "",
                       word_for(call.place)),
           describe(view) +
               (view.place == call.place ? "" : fmt::format(" on {}", word_for(view.place))));
  }
}

void check_matrix(const CollectiveCall& call, std::string_view name, const TensorView& view,
                  std::int64_t rows, std::int64_t columns) {
  check_place(call, name, view, false);
  if (view.dims != 2 || view.shape[0] != rows || view.shape[1] != columns) {
    refuse(call, fmt::format("{} [{}, {}]", name, rows, columns), describe(view));
  }
}

void check_exec(const CollectiveCall& call, const Exec& exec) {
  if (exec.place != call.place) {
    refuse(call, fmt::format("an Exec on {}", word_for(call.place)),
           fmt::format("one on {}", word_for(exec.place)));
  }
}

}  // namespace

std::string describe(const CollectiveCall& call) {
  return fmt::format("{}: {} #{} on rank {} of {}", call.path, call.collective, call.sequence,
                     call.rank, call.size);
}

void check_all_reduce(const CollectiveCall& call, const Exec& exec, const TensorView& x) {
  check_exec(call, exec);
  check_place(call, "x", x, call.place != Place::host);
  if (x.rows() > 1 && !x.contiguous()) {
    refuse(call, "dense rows",
           fmt::format("{} with rows {} elements apart", describe(x), x.row_stride));
  }
}

void check_gather_columns(const CollectiveCall& call, const Exec& exec, const TensorView& local,
                          std::span<const std::int64_t> columns, const TensorView& y, int root) {
  check_exec(call, exec);
  if (root != kEveryRank && (root < 0 || root >= call.size)) {
    refuse(call, fmt::format("a root in 0..{}", call.size - 1), std::to_string(root));
  }
  if (columns.size() != static_cast<std::size_t>(call.size)) {
    refuse(call, "a column count for each rank", std::to_string(columns.size()));
  }
  if (const auto bad = std::find_if(columns.begin(), columns.end(), [](auto n) { return n < 0; });
      bad != columns.end()) {
    refuse(call, "column counts of 0 and above", std::to_string(*bad));
  }
  check_matrix(call, "local", local, local.rows(), columns[static_cast<std::size_t>(call.rank)]);
  if (root == kEveryRank || call.rank == root) {
    check_matrix(call, "y", y, local.rows(), columns_before(columns, call.size));
  }
}

std::int64_t columns_before(std::span<const std::int64_t> columns, int rank) {
  return std::accumulate(columns.begin(), columns.begin() + rank, std::int64_t{0});
}

void copy_matrix(const TensorView& from, const TensorView& to) {
  if (from.data == to.data || from.empty()) {
    return;
  }
  for (std::int64_t row = 0; row < from.rows(); ++row) {
    std::copy_n(from.row<const float>(row), from.row_elements(), to.row<float>(row));
  }
}

std::size_t piece_begin(std::size_t count, int rank, int ranks) {
  return count * static_cast<std::size_t>(rank) / static_cast<std::size_t>(ranks);
}

}  // namespace tutti
