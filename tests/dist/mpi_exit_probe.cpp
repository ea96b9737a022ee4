// Ends an MPI job in one of several ways on rank 1, while rank 0 waits for it.
#include <cstdlib>
#include <string>

#include "kernels/error.hpp"
#include "runtime/comm/mpi_control_plane.hpp"
#include "runtime/comm/mpi_session.hpp"

namespace {

void fail_or_wait(const tutti::MpiSession& mpi) {
  tutti::MpiControlPlane control(mpi.world());
  if (mpi.rank() == 1) {
    throw tutti::CommError("probe");
  }
  control.barrier();
}

// The session ends before the exception is caught.
int throw_past_session(int argc, char** argv, int code) {
  try {
    const tutti::MpiSession mpi(argc, argv);
    fail_or_wait(mpi);
  } catch (const tutti::Error&) {
    return code;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string way = argc > 1 ? argv[1] : "leave";
  const int code = argc > 2 ? std::atoi(argv[2]) : 0;
  if (way == "throw_past_session") {
    return throw_past_session(argc, argv, code);
  }
  const tutti::MpiSession mpi(argc, argv);
  if (way == "abort") {
    tutti::MpiControlPlane control(mpi.world());
    if (mpi.rank() == 1) {
      mpi.abort(code);
    }
    control.barrier();
  } else if (way == "throw_caught") {
    try {
      fail_or_wait(mpi);
    } catch (const tutti::Error&) {
      mpi.abort(code);
    }
  }
  return 0;
}
