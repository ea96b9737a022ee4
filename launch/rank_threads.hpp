// How many threads each of some ranks runs, agreed on among them.
#pragma once

#include "launch/threads.hpp"
#include "runtime/comm/communicator.hpp"
#include "runtime/comm/mpi_ranks.hpp"

namespace tutti {

// Collective over `ranks`, whose control plane `control` is: those of one node share its CPUs.
// `wanted`: --threads of this rank; 0: choose.
ThreadChoice threads_of_rank(ControlPlane& control, const MpiRanks& ranks, int wanted);

}  // namespace tutti
