#include "launch/terminal.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace tutti {
namespace {

std::string parent_descriptor(int descriptor) {
  return fmt::format("/proc/{}/fd/{}", getppid(), descriptor);
}

// By name: opening a terminal that is not ours could change who controls it.
bool leads_to_terminal(const std::string& link) {
  std::error_code error;
  const std::string target = std::filesystem::read_symlink(link, error).string();
  return !error && (target.starts_with("/dev/pts/") || target.starts_with("/dev/tty") ||
                    target == "/dev/console");
}

}  // namespace

bool is_launcher(std::string_view process_name) {
  constexpr std::array<std::string_view, 6> kNames = {"mpirun",  "mpiexec", "orterun",
                                                      "prterun", "prte",    "mpiexec.hydra"};
  return std::find(kNames.begin(), kNames.end(), process_name) != kNames.end();
}

bool person_looks_on(const StreamFacts& facts) {
  return facts.own_terminal || (is_launcher(facts.parent) && facts.parent_terminal);
}

StreamFacts look_at_stream(int descriptor) {
  StreamFacts facts{.own_terminal = isatty(descriptor) == 1, .parent = {}};
  std::ifstream name(fmt::format("/proc/{}/comm", getppid()));
  std::getline(name, facts.parent);
  facts.parent_terminal = leads_to_terminal(parent_descriptor(descriptor));
  return facts;
}

std::string launcher_terminal() {
  const StreamFacts facts = look_at_stream(STDIN_FILENO);
  return is_launcher(facts.parent) && facts.parent_terminal ? parent_descriptor(STDIN_FILENO)
                                                            : std::string();
}

ProgressStyle progress_style(std::string_view word, bool person, bool quiet) {
  if (word == "bar") {
    return ProgressStyle::bar;
  }
  if (word == "lines") {
    return ProgressStyle::lines;
  }
  if (word == "none" || quiet) {
    return ProgressStyle::none;
  }
  return person ? ProgressStyle::bar : ProgressStyle::lines;
}

}  // namespace tutti
