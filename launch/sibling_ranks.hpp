// The other ranks of this host before MPI is there to ask: by the environment that Open MPI's and
// Slurm's PMIx gave their processes.
#pragma once

#include <string>
#include <vector>

#include "runtime/comm/peer_watch.hpp"

namespace tutti {

struct SiblingRank {
  int rank = 0;
  int process = 0;
  char state = '?';      // as of state_of()
  bool arrived = false;  // it runs this program
  std::string program;   // what it runs else
  bool own = false;      // it is this process
};

// Empty where the launcher tells nothing. In order of ranks, one entry for each.
std::vector<SiblingRank> sibling_ranks();

// Whether this process is the first that waits for MPI: the others let it speak. Pure.
bool speaks_first(const std::vector<SiblingRank>& siblings);

// Whom to name where MPI does not start, this process where none of the others stands out. Pure.
PeerTrouble missing_siblings(const std::vector<SiblingRank>& siblings, const std::string& host,
                             const std::string& waited);

}  // namespace tutti
