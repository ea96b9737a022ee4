// Whether this world is the one that was meant: srun without the right PMI, or the mpirun of
// another MPI, starts N worlds of one rank, and each would do the whole work by itself.
#pragma once

#include <map>
#include <optional>
#include <string>

namespace tutti {

class MpiSession;

// What launchers leave in the environment of a process, by name; other names are of no interest.
using Environment = std::map<std::string, std::string>;
Environment launch_environment();  // of this process

struct WrongWorld {
  enum class Kind {
    other_size,   // a launcher started more or fewer processes than this world has ranks
    no_launcher,  // one process in an allocation of several tasks, started by nobody
  };
  Kind kind = Kind::other_size;
  int task = -1;       // of this process among those that were started; -1: not known
  std::string text;    // what was found
  std::string remedy;  // what to do
};

// Of a process that is `rank` of `world` by the MPI library `mpi` (its own words) on `host`.
struct WorldFacts {
  int rank = 0;
  int world = 1;
  std::string host;
  std::string mpi;
};
std::optional<WrongWorld> find_wrong_world(const Environment& environment, const WorldFacts& facts);

// Before a command runs a model. Warns of no_launcher. Errors: ConfigError where processes were
// started together and each is a world of its own, unless `alone` says that this is meant.
void require_one_world(const MpiSession& mpi, bool alone);

}  // namespace tutti
