// Processes of this machine as the kernel sees them: who does not answer can still be looked at.
#pragma once

#include <cstdint>
#include <string>

namespace tutti {

// A process and when it began, so that a number which was given to another one later is not
// taken for it.
struct ProcessId {
  std::int32_t process = 0;
  std::uint64_t began = 0;  // clock ticks since the machine started
};

ProcessId own_process();
// Since this process began, to a hundredth.
double seconds_since_begin();

// "R" runs, "S" sleeps, "D" waits for a disk or a driver, "T" is stopped, "Z" has ended; "?" where
// it is not to be seen: it is gone, or lives in another PID namespace.
char state_of(const ProcessId& who);

// "is stopped", "has ended", "waits for a disk, a file system or a driver", or "" of any other
// state.
std::string trouble_of_state(char state);

}  // namespace tutti
