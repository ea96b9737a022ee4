#include "launch/sibling_ranks.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include "runtime/comm/process_look.hpp"

namespace tutti {
namespace {

namespace fs = std::filesystem;

// NAME's value in an environment as /proc has it: entries that end with a zero.
std::string value_of(const std::string& environment, const std::string& name) {
  const std::string key = name + "=";
  std::size_t at = environment.starts_with(key) ? 0 : environment.find(std::string(1, 0) + key);
  if (at == std::string::npos) {
    return {};
  }
  at = environment.find('=', at) + 1;
  return environment.substr(at, environment.find(char{0}, at) - at);
}

std::string environment_of(const fs::path& process) {
  std::ifstream file(process / "environ", std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string program_of(const fs::path& process) {
  std::error_code none;
  return fs::read_symlink(process / "exe", none).string();
}

char state_in(const fs::path& process) {
  std::ifstream file(process / "stat");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::size_t close = text.rfind(") ");
  return close == std::string::npos ? '?' : text[close + 2];
}

}  // namespace

std::vector<SiblingRank> sibling_ranks() {
  const std::string own = environment_of("/proc/self");
  const std::string job = value_of(own, "PMIX_NAMESPACE");
  if (job.empty()) {
    return {};
  }
  const std::string program = program_of("/proc/self");
  std::map<int, SiblingRank> found;
  std::error_code none;
  for (fs::directory_iterator at("/proc", none), end; !none && at != end; at.increment(none)) {
    SiblingRank sibling;
    const std::string name = at->path().filename().string();
    const auto [rest, error] =
        std::from_chars(name.data(), name.data() + name.size(), sibling.process);
    if (error != std::errc() || rest != name.data() + name.size()) {
      continue;
    }
    const std::string environment = environment_of(at->path());
    const std::string rank = value_of(environment, "PMIX_RANK");
    if (rank.empty() || value_of(environment, "PMIX_NAMESPACE") != job) {
      continue;
    }
    sibling.rank = std::atoi(rank.c_str());
    sibling.state = state_in(at->path());
    sibling.program = program_of(at->path());
    sibling.arrived = sibling.program == program;
    sibling.own = sibling.process == ::getpid();
    // A script and what it runs are the same rank: what counts is whether this program is there.
    SiblingRank& entry = found.try_emplace(sibling.rank, sibling).first->second;
    if (sibling.arrived && !entry.arrived) {
      entry = sibling;
    }
  }
  std::vector<SiblingRank> siblings;
  for (auto& [rank, sibling] : found) {
    siblings.push_back(std::move(sibling));
  }
  return siblings;
}

bool speaks_first(const std::vector<SiblingRank>& siblings) {
  for (const SiblingRank& sibling : siblings) {
    if (sibling.own || (sibling.arrived && trouble_of_state(sibling.state).empty())) {
      return sibling.own;
    }
  }
  return true;
}

PeerTrouble missing_siblings(const std::vector<SiblingRank>& siblings, const std::string& host,
                             const std::string& waited) {
  PeerTrouble trouble{.who = "a rank on " + host, .stage = "MPI up", .cause = waited};
  for (const SiblingRank& sibling : siblings) {
    if (sibling.own) {
      trouble.who = fmt::format("rank {} on {}", sibling.rank, host);
      trouble.cause = waited + ": it waits for others, none of which is missing on this host";
    }
  }
  for (const SiblingRank& sibling : siblings) {
    const std::string state = trouble_of_state(sibling.state);
    if (!state.empty() || !sibling.arrived) {
      trouble.who = fmt::format("rank {} on {}", sibling.rank, host);
      trouble.cause =
          fmt::format("{}: its process {} {}", waited, sibling.process,
                      !state.empty() ? state : fmt::format("still runs {}", sibling.program));
      break;
    }
  }
  return trouble;
}

}  // namespace tutti
