#include "launch/doctor_processes.hpp"

#include <fmt/format.h>
#include <sys/prctl.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

namespace tutti {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMark = "dr:";
constexpr std::size_t kLongestName = 15;  // Linux keeps no more
constexpr int kLooks = 10;
constexpr std::chrono::milliseconds kPause{20};

void look_once(int process, ProcessLook& look) {
  std::error_code none;
  look.there = false;
  const fs::path tasks = fmt::format("/proc/{}/task", process);
  look.alive = fs::exists(tasks, none);
  for (fs::directory_iterator at(tasks, none), end; !none && at != end; at.increment(none)) {
    std::ifstream file(at->path() / "stat");
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    // "123 (name) S …"; a name may hold anything.
    const std::size_t open = text.find('(');
    const std::size_t close = text.rfind(')');
    if (close == std::string::npos || close + 2 >= text.size()) {
      continue;
    }
    const std::string name = text.substr(open + 1, close - open - 1);
    if (name.starts_with(kMark)) {
      look.there = true;
      look.state = text[close + 2];
      look.step = name.substr(kMark.size());
      look.running += look.state == 'R' ? 1.0 / kLooks : 0;
      return;
    }
  }
}

}  // namespace

void name_this_thread(std::string_view step) {
  const std::string name = (std::string(kMark) + std::string(step)).substr(0, kLongestName);
  ::prctl(PR_SET_NAME, name.c_str());
}

std::vector<ProcessLook> look_at_processes(const std::vector<int>& processes) {
  std::vector<ProcessLook> looks(processes.size());
  for (int i = 0; i < kLooks; ++i) {
    for (std::size_t p = 0; p < processes.size(); ++p) {
      look_once(processes[p], looks[p]);
    }
    std::this_thread::sleep_for(kPause);
  }
  return looks;
}

std::string trouble_of(const ProcessLook& look) {
  constexpr double kSpins = 0.5;
  if (!look.alive) {
    return "is gone";
  }
  if (!look.there) {
    return "has left the stage";
  }
  switch (look.state) {
    case 'T':
    case 't':
      return "is stopped";
    case 'Z':
    case 'X':
      return "is dead";
    default:
      break;
  }
  if (look.running >= kSpins) {
    return "";
  }
  return look.state == 'D' ? "waits for a disk, a file system or a driver" : "sleeps";
}

}  // namespace tutti
