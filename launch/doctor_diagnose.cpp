#include "launch/doctor_diagnose.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "runtime/comm/agreement.hpp"

namespace tutti {

std::string_view name_of(Severity severity) {
  switch (severity) {
    case Severity::error:
      return "error";
    case Severity::warning:
      return "warning";
    case Severity::note:
      break;
  }
  return "note";
}

bool healthy(const std::vector<Finding>& findings) {
  return std::none_of(findings.begin(), findings.end(),
                      [](const Finding& finding) { return finding.severity == Severity::error; });
}

std::string who(const Examination& found, const std::vector<int>& ranks) {
  constexpr std::size_t kNamed = 4;
  std::vector<std::string> hosts;
  for (const RankReport& rank : found.ranks) {
    if (std::find(ranks.begin(), ranks.end(), rank.rank) != ranks.end() &&
        std::find(hosts.begin(), hosts.end(), rank.host) == hosts.end()) {
      hosts.push_back(rank.host);
    }
  }
  const bool more = hosts.size() > kNamed;
  hosts.resize(std::min(kNamed, hosts.size()));
  return fmt::format("{} on {}{}", describe_ranks(ranks), fmt::join(hosts, ", "),
                     more ? ", …" : "");
}

RanksByText ranks_by(const Examination& found,
                     const std::function<std::string(const RankReport&)>& text_of) {
  RanksByText groups;
  for (const RankReport& rank : found.ranks) {
    groups[text_of(rank)].push_back(rank.rank);
  }
  return groups;
}

std::string describe(const Examination& found, const RanksByText& groups) {
  std::vector<std::string> parts;
  for (const auto& [text, ranks] : groups) {
    parts.push_back(fmt::format("{} ({})", text.empty() ? "none" : text, who(found, ranks)));
  }
  return fmt::format("{}", fmt::join(parts, "; "));
}

std::vector<int> odd_ones(const RanksByText& groups) {
  std::size_t most = 0;
  for (const auto& [text, ranks] : groups) {
    most = std::max(most, ranks.size());
  }
  // Among equals the one with rank 0 is taken for the right one.
  const std::vector<int>* common = nullptr;
  for (const auto& [text, ranks] : groups) {
    if (ranks.size() == most && (common == nullptr || ranks.front() < common->front())) {
      common = &ranks;
    }
  }
  std::vector<int> odd;
  for (const auto& [text, ranks] : groups) {
    if (&ranks != common) {
      odd.insert(odd.end(), ranks.begin(), ranks.end());
    }
  }
  std::sort(odd.begin(), odd.end());
  return odd;
}

namespace {

// A rank that hung before it saw something has not seen it missing.
template <typename Seen>
Examination of_those(const Examination& found, Seen seen) {
  Examination some{.ranks = {},
                   .troubles = {},
                   .world = found.world,
                   .expect = found.expect,
                   .stages = found.stages};
  std::copy_if(found.ranks.begin(), found.ranks.end(), std::back_inserter(some.ranks), seen);
  return some;
}

}  // namespace

std::vector<Finding> diagnose(const Examination& found) {
  std::vector<Finding> findings;
  find_troubles(found, findings);
  const Examination hosts = of_those(found, [](const RankReport& r) { return r.process != 0; });
  find_launch_faults(hosts, findings);
  find_version_faults(hosts, findings);
  find_gpu_faults(of_those(found, [](const RankReport& r) { return r.gpus_asked; }), findings);
  find_file_faults(of_those(found, [](const RankReport& r) { return !r.file.path.empty(); }),
                   findings);
  find_network_faults(hosts, findings);
  find_host_faults(hosts, findings);
  std::stable_sort(findings.begin(), findings.end(),
                   [](const Finding& a, const Finding& b) { return a.severity < b.severity; });
  return findings;
}

namespace {

std::string remedy_of(const StageTrouble& trouble) {
  if (trouble.kind == StageTrouble::Kind::silent) {
    return "look at that host (ssh, dmesg, nvidia-smi); leave it out (srun --exclude, another "
           "machine file) and try again";
  }
  if (trouble.kind == StageTrouble::Kind::hangs) {
    return "look what blocks there (file system, driver, interface of MPI or NCCL); "
           "--stage-seconds gives slow stages more time";
  }
  return "the message says what failed";
}

}  // namespace

void find_troubles(const Examination& found, std::vector<Finding>& findings) {
  // The same failure on several ranks is one finding.
  std::map<std::string, std::vector<const StageTrouble*>> alike;
  std::vector<std::string> order;
  for (const StageTrouble& trouble : found.troubles) {
    const std::string key =
        fmt::format("{} {} {}", static_cast<int>(trouble.kind), trouble.stage, trouble.text);
    if (!alike.contains(key)) {
      order.push_back(key);
    }
    alike[key].push_back(&trouble);
  }
  for (const std::string& key : order) {
    const std::vector<const StageTrouble*>& troubles = alike[key];
    const StageTrouble& first = *troubles.front();
    std::vector<int> ranks;
    std::set<std::string> hosts;
    for (const StageTrouble* trouble : troubles) {
      ranks.push_back(trouble->rank);
      hosts.insert(trouble->host);
    }
    const char* what = first.kind == StageTrouble::Kind::silent  ? "was not heard of"
                       : first.kind == StageTrouble::Kind::hangs ? "hangs"
                                                                 : "failed";
    findings.push_back({.severity = Severity::error,
                        .code = first.kind == StageTrouble::Kind::failed ? "stage-failed" : "hang",
                        .text = fmt::format("{} on {} {} in stage '{}'{}{}", describe_ranks(ranks),
                                            fmt::join(hosts, ", "), what, first.stage,
                                            first.text.empty() ? "" : ": ", first.text),
                        .remedy = remedy_of(first),
                        .ranks = ranks});
  }
}

}  // namespace tutti
