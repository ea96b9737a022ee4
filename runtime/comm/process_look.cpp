#include "runtime/comm/process_look.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <ctime>
#include <fstream>
#include <iterator>
#include <sstream>

namespace tutti {
namespace {

struct Stat {
  char state = '?';
  std::uint64_t began = 0;
};

// "123 (name) S …"; a name may hold anything.
Stat read_stat(std::int32_t process) {
  std::ifstream file(fmt::format("/proc/{}/stat", process));
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::size_t close = text.rfind(')');
  if (close == std::string::npos) {
    return {};
  }
  constexpr int kFieldsBetween = 18;  // between the state and the time at which it began
  std::istringstream rest(text.substr(close + 1));
  Stat stat;
  std::string skipped;
  rest >> stat.state;
  for (int i = 0; i < kFieldsBetween; ++i) {
    rest >> skipped;
  }
  rest >> stat.began;
  return stat;
}

}  // namespace

ProcessId own_process() {
  const auto process = static_cast<std::int32_t>(::getpid());
  return {.process = process, .began = read_stat(process).began};
}

double seconds_since_begin() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  const double began =
      static_cast<double>(own_process().began) / static_cast<double>(::sysconf(_SC_CLK_TCK));
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec) - began;
}

char state_of(const ProcessId& who) {
  const Stat stat = read_stat(who.process);
  return stat.began == who.began ? stat.state : '?';
}

std::string trouble_of_state(char state) {
  switch (state) {
    case 'T':
    case 't':
      return "is stopped";
    case 'Z':
    case 'X':
      return "has ended";
    case 'D':
      return "waits for a disk, a file system or a driver";
    default:
      return "";
  }
}

}  // namespace tutti
