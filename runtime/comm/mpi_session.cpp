#include "runtime/comm/mpi_session.hpp"

#include <fmt/format.h>

#include <array>
#include <exception>

#include "runtime/comm/mpi_handle.hpp"

namespace tutti {
namespace {

constexpr std::string_view kWhere = "starting MPI";

// Whether several threads may call MPI at the same time.
bool start(int& argc, char**& argv) {
  int started = 0;
  TUTTI_MPI(MPI_Initialized(&started), kWhere);
  if (started != 0) {
    throw CommError("starting MPI: wants a process without MPI, found it already started");
  }
  int provided = MPI_THREAD_SINGLE;
  TUTTI_MPI(MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided), kWhere);
  if (provided < MPI_THREAD_SERIALIZED) {
    throw CommError(
        fmt::format("starting MPI: wants thread level MPI_THREAD_SERIALIZED ({}), "
                    "found {}; this MPI library was built without threads",
                    MPI_THREAD_SERIALIZED, provided));
  }
  return provided >= MPI_THREAD_MULTIPLE;
}

std::string processor_name() {
  std::array<char, MPI_MAX_PROCESSOR_NAME> name{};
  int length = 0;
  TUTTI_MPI(MPI_Get_processor_name(name.data(), &length), kWhere);
  return {name.data(), static_cast<std::size_t>(length)};
}

MpiGroup duplicate_world(std::shared_ptr<RankState> state) {
  TUTTI_MPI(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), kWhere);
  TUTTI_MPI(MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN), kWhere);
  MPI_Comm comm = MPI_COMM_NULL;
  TUTTI_MPI(MPI_Comm_dup(MPI_COMM_WORLD, &comm), kWhere);
  return {std::make_unique<MpiHandle>(comm), std::move(state)};
}

}  // namespace

MpiSession::MpiSession(int& argc, char**& argv) : exceptions_(std::uncaught_exceptions()) {
  many_threads_ = start(argc, argv);
  ranks_.emplace(duplicate_world(std::make_shared<RankState>()), processor_name());
}

MpiSession::~MpiSession() {
  if (std::uncaught_exceptions() <= exceptions_) {
    ranks_.reset();
    MPI_Finalize();
  }
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
