// Does a person look on? Under mpirun no rank sees a terminal on its own descriptors, because the
// launcher stands between: then the launcher's descriptors are asked.
#pragma once

#include <string>
#include <string_view>

namespace tutti {

struct StreamFacts {
  bool own_terminal = false;     // isatty of our descriptor
  std::string parent;            // name of the parent process
  bool parent_terminal = false;  // the parent's same descriptor is a terminal
};

// mpirun, mpiexec, orterun, prterun, prte, mpiexec.hydra: those that pass streams on.
bool is_launcher(std::string_view process_name);
bool person_looks_on(const StreamFacts& facts);

// Descriptor 0 or 2 of this process and its parent, from /proc. What cannot be seen is not there.
StreamFacts look_at_stream(int descriptor);
// "/proc/<parent>/fd/0" where the launcher's standard input is a terminal; else empty.
std::string launcher_terminal();

enum class ProgressStyle { bar, lines, none };

// `word`: auto, bar, lines or none. `quiet` turns auto into none.
ProgressStyle progress_style(std::string_view word, bool person, bool quiet);

}  // namespace tutti
