// Runs `tutti …` with a fault planted on one rank, for tests under mpirun:
//   job_fault_probe RANK STAGE FAULT tutti-arguments…
// The fault comes when that rank enters the stage; that of "before MPI" before it starts MPI.
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <string>

#include "kernels/error.hpp"
#include "launch/program.hpp"

namespace {

[[noreturn]] void sleep_for_ever() {
  for (;;) {
    ::pause();
  }
}

void fail(const std::string& fault) {
  if (fault == "sleep") {
    sleep_for_ever();
  } else if (fault == "stop") {
    std::raise(SIGSTOP);
  } else if (fault == "wake") {  // and finds that the others are gone
    std::raise(SIGSTOP);
    throw tutti::CommError("a planted failure of a rank that was woken");
  } else if (fault == "kill") {
    std::raise(SIGKILL);
  } else if (fault == "crash") {
    std::raise(SIGSEGV);
  } else if (fault == "throw") {
    throw tutti::Error("a planted failure");
  } else if (fault == "device") {
    throw tutti::DeviceError("a planted failure of a device");
  } else if (fault == "leave") {
    std::_Exit(0);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int rank = std::atoi(argv[1]);
  const std::string stage = argv[2];
  const std::string fault = argv[3];
  const char* own = std::getenv("PMIX_RANK");
  if (stage == "before MPI" && own != nullptr && std::atoi(own) == rank) {
    fail(fault);
  }
  argv[3] = argv[0];
  return tutti::run_program(argc - 3, argv + 3, [&](const tutti::MpiSession& mpi) {
    if (mpi.rank() == rank) {
      mpi.state().when_entering([&](const std::string& entered) {
        if (entered == stage) {
          fail(fault);
        }
      });
    }
  });
}
