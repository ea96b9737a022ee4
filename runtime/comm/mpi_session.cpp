#include "runtime/comm/mpi_session.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "runtime/comm/mpi_handle.hpp"

namespace tutti {
namespace {

constexpr std::string_view kWhere = "starting MPI";

void start(int& argc, char**& argv) {
  int started = 0;
  TUTTI_MPI(MPI_Initialized(&started), kWhere);
  if (started != 0) {
    throw CommError("starting MPI: wants a process without MPI, found it already started");
  }
  int provided = MPI_THREAD_SINGLE;
  TUTTI_MPI(MPI_Init_thread(&argc, &argv, MPI_THREAD_SERIALIZED, &provided), kWhere);
  if (provided < MPI_THREAD_SERIALIZED) {
    throw CommError(
        fmt::format("starting MPI: wants thread level MPI_THREAD_SERIALIZED ({}), "
                    "found {}; this MPI library was built without threads",
                    MPI_THREAD_SERIALIZED, provided));
  }
}

std::string processor_name() {
  std::array<char, MPI_MAX_PROCESSOR_NAME> name{};
  int length = 0;
  TUTTI_MPI(MPI_Get_processor_name(name.data(), &length), kWhere);
  return {name.data(), static_cast<std::size_t>(length)};
}

MpiGroup duplicate_world() {
  TUTTI_MPI(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), kWhere);
  TUTTI_MPI(MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN), kWhere);
  MPI_Comm comm = MPI_COMM_NULL;
  TUTTI_MPI(MPI_Comm_dup(MPI_COMM_WORLD, &comm), kWhere);
  return MpiGroup(std::make_unique<MpiHandle>(comm));
}

}  // namespace

MpiSession::MpiSession(int& argc, char**& argv) : exceptions_(std::uncaught_exceptions()) {
  start(argc, argv);
  world_ = duplicate_world();
  host_ = processor_name();
  find_nodes();
}

MpiSession::~MpiSession() {
  if (std::uncaught_exceptions() <= exceptions_) {
    world_.reset();
    MPI_Finalize();
  }
}

// A node is named by the lowest world rank on it; then those are numbered.
void MpiSession::find_nodes() {
  const MpiGroup node = world_->split_by_node();
  node_rank_ = node.rank();
  node_size_ = node.size();
  const int leader = node.all_gather(world_->rank()).front();
  const std::vector<int> leaders = world_->all_gather(leader);
  std::vector<int> nodes = leaders;
  std::sort(nodes.begin(), nodes.end());
  nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
  for (const int name : leaders) {
    const auto at = std::lower_bound(nodes.begin(), nodes.end(), name);
    node_of_rank_.push_back(static_cast<int>(at - nodes.begin()));
  }
}

void MpiSession::abort(int code) const noexcept {
  // MPI_Abort(comm, 0) would end the job as a success, and so would any multiple of 256.
  const int status = (code & 0xff) == 0 ? 1 : code & 0xff;
  std::fflush(nullptr);
  MPI_Abort(MPI_COMM_WORLD, status);
  std::_Exit(status);
}

std::string MpiSession::library_version() {
  std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> text{};
  int length = 0;
  TUTTI_MPI(MPI_Get_library_version(text.data(), &length), "asking for MPI's version");
  // Open MPI counts the zero at the end.
  const std::string all(text.data(), static_cast<std::size_t>(length));
  std::string line = all.substr(0, std::min(all.find('\n'), all.find('\0')));
  line.erase(line.find_last_not_of(' ') + 1);
  return line;
}

}  // namespace tutti
