// What the ranks of this node are doing, as the kernel tells it: when a collective hangs nobody can
// be asked, but one that sleeps, is stopped or is gone while the others spin is the one they wait
// for.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tutti {

// The thread that does a stage's work carries its step as a name, for those who look on.
void name_this_thread(std::string_view step);

struct ProcessLook {
  bool alive = false;  // the process
  bool there = false;  // its thread that works on a stage
  char state = '?';    // of the working thread: R runs, S sleeps, D waits for a disk, T is stopped
  double running = 0;  // share of the looks in which it ran
  std::string step;    // as far as a thread's name holds it
};

// Looks at each several times, a fifth of a second in all.
std::vector<ProcessLook> look_at_processes(const std::vector<int>& processes);

// "is gone", "has left the stage", "is stopped", "waits for a disk or a file system", "sleeps", or
// "" where it runs.
std::string trouble_of(const ProcessLook& look);

}  // namespace tutti
