// MPI's own types and checks, for the mpi_* files alone.
#pragma once

#include <mpi.h>

#include <string>
#include <string_view>

#include "kernels/error.hpp"
#include "runtime/comm/collective_call.hpp"

namespace tutti {

// Owns the communicator: freed with it, unless an exception is on its way (then the peers may be
// anywhere, and freeing is a collective call) or MPI has ended.
struct MpiHandle {
  explicit MpiHandle(MPI_Comm comm_in);  // takes it over, with MPI_ERRORS_RETURN
  ~MpiHandle();
  MpiHandle(const MpiHandle&) = delete;
  MpiHandle& operator=(const MpiHandle&) = delete;

  MPI_Comm comm = MPI_COMM_NULL;
  int exceptions = 0;  // in flight when this was made
};

[[noreturn]] void throw_mpi_error(int code, std::string_view expression, const std::string& where);

inline void check_mpi(int code, std::string_view expression, std::string_view where) {
  if (code != MPI_SUCCESS) {
    throw_mpi_error(code, expression, std::string(where));
  }
}

// The text of a collective is made only where it is wanted.
inline void check_mpi(int code, std::string_view expression, const CollectiveCall& call) {
  if (code != MPI_SUCCESS) {
    throw_mpi_error(code, expression, describe(call));
  }
}

}  // namespace tutti

// Throws CommError "WHERE: MPI_Name failed: MPI's text"; where is text or a CollectiveCall.
#define TUTTI_MPI(expression, where) ::tutti::check_mpi((expression), #expression, (where))
