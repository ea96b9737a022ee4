// Rules of `tutti doctor` about what MPI and NCCL use between nodes.
#include <fmt/format.h>

#include <algorithm>

#include "launch/doctor_diagnose.hpp"

namespace tutti {
namespace {

std::string setting(const RankReport& rank, const char* name) {
  const auto at = rank.environment.find(name);
  return at == rank.environment.end() ? "" : at->second;
}

void find_plain_tcp(const Examination& found, std::vector<Finding>& findings) {
  std::vector<int> plain;
  std::vector<int> off;
  for (const RankReport& rank : found.ranks) {
    if (rank.fast_links.empty()) {
      plain.push_back(rank.rank);
    } else if (setting(rank, "NCCL_IB_DISABLE") == "1" || setting(rank, "NCCL_NET") == "Socket" ||
               setting(rank, "UCX_TLS").starts_with("tcp")) {
      off.push_back(rank.rank);
    }
  }
  if (!plain.empty()) {
    const auto first = std::find_if(found.ranks.begin(), found.ranks.end(),
                                    [&](const RankReport& r) { return r.rank == plain.front(); });
    findings.push_back(
        {.severity = Severity::warning,
         .code = "plain-tcp",
         .text = fmt::format("between nodes {} have plain TCP: no active InfiniBand, RoCE, "
                             "Slingshot or EFA device; interfaces of {}: {}",
                             who(found, plain), first->host, interfaces_of(*first)),
         .remedy = "collectives between nodes will take most of the time: keep a model on one node "
                   "where it fits, or ask for nodes with a fast network",
         .ranks = plain});
  }
  if (!off.empty()) {
    findings.push_back({.severity = Severity::warning,
                        .code = "fast-network-off",
                        .text = fmt::format("{} have a fast network that the environment switches "
                                            "off (NCCL_IB_DISABLE, NCCL_NET, UCX_TLS)",
                                            who(found, off)),
                        .remedy = "unset them unless it is meant",
                        .ranks = off});
  }
}

// NCCL and Open MPI may pick a bridge of containers, and then wait for ever.
void find_unchosen_interfaces(const Examination& found, std::vector<Finding>& findings) {
  for (const RankReport& rank : found.ranks) {
    const bool chosen = !setting(rank, "NCCL_SOCKET_IFNAME").empty() &&
                        !(setting(rank, "OMPI_MCA_btl_tcp_if_include") +
                          setting(rank, "OMPI_MCA_btl_tcp_if_exclude"))
                             .empty();
    const auto bridge = std::find_if(rank.interfaces.begin(), rank.interfaces.end(),
                                     [](const InterfaceReport& interface) {
                                       return interface.virtual_ && interface.name != "lo";
                                     });
    if (rank.node_rank == 0 && !chosen && bridge != rank.interfaces.end()) {
      findings.push_back(
          {.severity = Severity::note,
           .code = "interfaces",
           .text = fmt::format("{} has {} beside its network, which MPI or NCCL may take for one",
                               rank.host, bridge->name),
           .remedy = "where a start hangs: NCCL_SOCKET_IFNAME and OMPI_MCA_btl_tcp_if_include name "
                     "the right one",
           .ranks = {rank.rank}});
    }
  }
}

}  // namespace

std::string interfaces_of(const RankReport& rank) {
  std::vector<std::string> parts;
  for (const InterfaceReport& interface : rank.interfaces) {
    if (!interface.virtual_) {
      parts.push_back(interface.megabits > 0
                          ? fmt::format("{} at {} Gb/s", interface.name, interface.megabits / 1e3)
                          : interface.name);
    }
  }
  return parts.empty() ? "none of hardware" : fmt::format("{}", fmt::join(parts, ", "));
}

void find_network_faults(const Examination& found, std::vector<Finding>& findings) {
  const bool several =
      std::any_of(found.ranks.begin(), found.ranks.end(),
                  [&](const RankReport& rank) { return rank.node != found.ranks.front().node; });
  if (!several) {
    return;
  }
  find_plain_tcp(found, findings);
  find_unchosen_interfaces(found, findings);
  for (const RankReport& rank : found.ranks) {
    if (setting(rank, "OMPI_MCA_btl_tcp_if_include") == "lo" ||
        setting(rank, "NCCL_SOCKET_IFNAME") == "lo") {
      findings.push_back({.severity = Severity::error,
                          .code = "loopback",
                          .text = fmt::format("{} is told to reach other nodes through lo",
                                              who(found, {rank.rank})),
                          .remedy = "unset OMPI_MCA_btl_tcp_if_include and NCCL_SOCKET_IFNAME, or "
                                    "name the network's interface",
                          .ranks = {rank.rank}});
    }
  }
}

}  // namespace tutti
