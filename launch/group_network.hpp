// What a group of ranks that spans nodes uses between them: for the banner, and what to warn of.
#pragma once

#include <string>
#include <vector>

#include "launch/doctor_diagnose.hpp"
#include "runtime/comm/communicator.hpp"
#include "runtime/comm/mpi_ranks.hpp"

namespace tutti {

struct GroupNetwork {
  std::string text;  // "eth0 at 10 Gb/s; MPI chooses by itself, …"; empty: one node
  std::vector<std::string> warnings;  // by the rules of `tutti doctor`
};

// Pure. Looks at host, node, environment, interfaces and fast links of each rank.
GroupNetwork group_network(const Examination& found);

// Collective over `ranks`, whose control plane it is; costs nothing where they share a node.
GroupNetwork look_at_group_network(ControlPlane& control, const MpiRanks& ranks);

}  // namespace tutti
