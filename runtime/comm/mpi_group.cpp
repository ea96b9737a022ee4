#include "runtime/comm/mpi_group.hpp"

#include <fmt/format.h>

#include <array>
#include <exception>
#include <utility>

#include "runtime/comm/mpi_handle.hpp"

namespace tutti {

MpiHandle::MpiHandle(MPI_Comm comm_in) : comm(comm_in), exceptions(std::uncaught_exceptions()) {
  TUTTI_MPI(MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN), "a new group");
}

MpiHandle::~MpiHandle() {
  int ended = 0;
  MPI_Finalized(&ended);
  if (ended == 0 && std::uncaught_exceptions() <= exceptions) {
    MPI_Comm_free(&comm);
  }
}

void throw_mpi_error(int code, std::string_view expression, const std::string& where) {
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  if (MPI_Error_string(code, text.data(), &length) != MPI_SUCCESS) {
    length = 0;
  }
  const std::string_view name = expression.substr(0, expression.find('('));
  throw CommError(fmt::format("{}: {} failed: {} (code {})", where, name,
                              std::string_view(text.data(), static_cast<std::size_t>(length)),
                              code));
}

MpiGroup::MpiGroup(std::unique_ptr<MpiHandle> handle, std::shared_ptr<RankState> state)
    : handle_(std::move(handle)), state_(std::move(state)) {
  TUTTI_MPI(MPI_Comm_rank(handle_->comm, &rank_), "a new group");
  TUTTI_MPI(MPI_Comm_size(handle_->comm, &size_), "a new group");
}

MpiGroup::~MpiGroup() = default;
MpiGroup::MpiGroup(MpiGroup&&) noexcept = default;
MpiGroup& MpiGroup::operator=(MpiGroup&&) noexcept = default;

MpiGroup MpiGroup::duplicate() const {
  MPI_Comm comm = MPI_COMM_NULL;
  TUTTI_MPI(MPI_Comm_dup(handle_->comm, &comm), "duplicating a group");
  return {std::make_unique<MpiHandle>(comm), state_};
}

MpiGroup MpiGroup::split(int colour, int key) const {
  MPI_Comm comm = MPI_COMM_NULL;
  TUTTI_MPI(MPI_Comm_split(handle_->comm, colour, key, &comm), "splitting a group");
  return {std::make_unique<MpiHandle>(comm), state_};
}

MpiGroup MpiGroup::split_by_node() const {
  MPI_Comm comm = MPI_COMM_NULL;
  TUTTI_MPI(MPI_Comm_split_type(handle_->comm, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &comm),
            "splitting a group by node");
  return {std::make_unique<MpiHandle>(comm), state_};
}

std::vector<int> MpiGroup::all_gather(int value) const {
  std::vector<int> values(static_cast<std::size_t>(size_));
  TUTTI_MPI(MPI_Allgather(&value, 1, MPI_INT, values.data(), 1, MPI_INT, handle_->comm),
            "gathering a number of each rank");
  return values;
}

MpiGroup split_tensor_group(const MpiGroup& world, const RankGrid& grid) {
  const GridPlace place = grid.place(world.rank());
  return world.split(grid.group_index(place), place.tensor_rank);
}

}  // namespace tutti
