// The program around its commands: MPI's beginning and end, the watch over the job, and the only
// place that catches everything: turns errors into messages and exit codes, and sees to it that no
// rank is left waiting.
#pragma once

#include <functional>

#include "runtime/comm/mpi_session.hpp"

namespace tutti {

// main()'s. `started` is called once MPI is up: tests plant their faults there.
int run_program(int argc, char** argv, const std::function<void(const MpiSession&)>& started = {});

}  // namespace tutti
