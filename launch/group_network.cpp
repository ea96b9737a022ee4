#include "launch/group_network.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <span>

#include "launch/doctor_probe.hpp"

namespace tutti {
namespace {

constexpr const char* kSettings[] = {"NCCL_SOCKET_IFNAME",
                                     "NCCL_IB_HCA",
                                     "NCCL_IB_DISABLE",
                                     "NCCL_NET",
                                     "OMPI_MCA_btl_tcp_if_include",
                                     "OMPI_MCA_btl_tcp_if_exclude",
                                     "UCX_NET_DEVICES",
                                     "UCX_TLS"};

// What the environment says of a library's choice, by the beginnings of names.
std::string choice(const RankReport& rank, std::string_view library,
                   const std::vector<std::string_view>& prefixes) {
  std::vector<std::string> said;
  for (const auto& [name, value] : rank.environment) {
    if (std::any_of(prefixes.begin(), prefixes.end(),
                    [&name = name](std::string_view prefix) { return name.starts_with(prefix); })) {
      said.push_back(fmt::format("{}={}", name, value));
    }
  }
  return said.empty() ? fmt::format("{} chooses by itself", library)
                      : fmt::format("{} by {}", library, fmt::join(said, ", "));
}

RankReport own_report(const MpiRanks& ranks) {
  RankReport report;
  report.rank = ranks.rank();
  report.world = ranks.size();
  report.node = ranks.node_of_rank()[static_cast<std::size_t>(ranks.rank())];
  report.node_rank = ranks.node_rank();
  report.host = ranks.host();
  report.interfaces = interfaces_that_are_up("/sys");
  report.fast_links = fast_links_that_are_up("/sys");
  for (const char* name : kSettings) {
    if (const char* value = std::getenv(name); value != nullptr) {
      report.environment[name] = value;
    }
  }
  return report;
}

}  // namespace

GroupNetwork group_network(const Examination& found) {
  const RankReport& first = found.ranks.front();
  GroupNetwork network;
  const std::string links = first.fast_links.empty()
                                ? interfaces_of(first)
                                : fmt::format("{}", fmt::join(first.fast_links, ", "));
  network.text =
      fmt::format("{} ({}); {}; {}", links, first.host, choice(first, "MPI", {"OMPI_", "UCX_"}),
                  choice(first, "NCCL", {"NCCL_"}));
  std::vector<Finding> findings;
  find_network_faults(found, findings);
  for (const Finding& finding : findings) {
    if (finding.severity != Severity::note) {
      network.warnings.push_back(finding.text);
    }
  }
  return network;
}

GroupNetwork look_at_group_network(ControlPlane& control, const MpiRanks& ranks) {
  if (on_one_node(ranks.node_of_rank())) {
    return {};
  }
  const std::string mine =
      to_json(own_report(ranks)).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  Examination found;
  found.world = ranks.size();
  for (const auto& bytes : control.all_gather(std::as_bytes(std::span(mine)))) {
    const auto* begin = reinterpret_cast<const char*>(bytes.data());
    found.ranks.push_back(
        rank_report_from_json(nlohmann::json::parse(begin, begin + bytes.size())));
  }
  return group_network(found);
}

}  // namespace tutti
