// The main of test programs that run under mpirun.
#pragma once

#include "runtime/comm/mpi_session.hpp"

namespace tutti {

// The session of this test program; there is one from before the first test until after the last.
const MpiSession& test_session();

}  // namespace tutti
