#include "launch/device_choice.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "kernels/error.hpp"

namespace tutti {
namespace {

std::string who_sees_what(const std::vector<RankGpus>& ranks) {
  std::string text;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    const RankGpus& own = ranks[rank];
    text += fmt::format("\n  rank {} on {} sees ", rank, own.host);
    if (own.gpus.empty()) {
      text += fmt::format("no GPU ({})", own.why_none);
    }
    for (std::size_t i = 0; i < own.gpus.size(); ++i) {
      text += fmt::format("{}{}: {} ({})", i == 0 ? "" : ", ", own.gpus[i].ordinal,
                          own.gpus[i].name, own.gpus[i].uuid);
    }
  }
  return text;
}

[[noreturn]] void refuse(const std::string& what, const std::vector<RankGpus>& ranks) {
  throw ConfigError(
      fmt::format("{}; start as many ranks as there are GPUs, give each rank its own, or use "
                  "--device host. Who sees what:{}",
                  what, who_sees_what(ranks)));
}

// Ranks of one node, in order: which GPU each takes.
void choose_on_node(const std::vector<std::size_t>& members, const std::vector<RankGpus>& ranks,
                    std::vector<int>& ordinals) {
  std::map<std::string, std::size_t> owner;  // of each UUID
  for (std::size_t index = 0; index < members.size(); ++index) {
    const std::size_t rank = members[index];
    const std::vector<GpuFacts>& gpus = ranks[rank].gpus;
    if (gpus.empty()) {
      refuse(fmt::format("rank {} sees no GPU, others do", rank), ranks);
    }
    const std::size_t seat =
        ranks[rank].seat < 0 ? index : static_cast<std::size_t>(ranks[rank].seat);
    const GpuFacts& gpu = gpus[seat % gpus.size()];
    const auto [found, fresh] = owner.emplace(gpu.uuid, rank);
    if (!fresh) {
      refuse(fmt::format("{} ranks on {} would share GPU {}: ranks {} and {}, wanted one GPU each",
                         members.size(), ranks[rank].host, gpu.uuid, found->second, rank),
             ranks);
    }
    ordinals[rank] = gpu.ordinal;
  }
}

std::string mixed_warning(const std::vector<RankGpus>& ranks, const std::vector<int>& ordinals) {
  std::set<std::string> names;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    for (const GpuFacts& gpu : ranks[rank].gpus) {
      if (gpu.ordinal == ordinals[rank]) {
        names.insert(gpu.name);
      }
    }
  }
  return names.size() < 2 ? ""
                          : fmt::format(
                                "the group mixes GPUs ({}): the slowest sets the pace and "
                                "the smallest the size of the KV cache",
                                fmt::join(names, ", "));
}

// Where the host computes beside GPUs and nobody has asked for that.
std::string unused_warning(const std::vector<RankGpus>& ranks) {
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    if (ranks[rank].machine_has_gpus) {
      return fmt::format(
          "the host computes, though {} has GPUs: rank {} may use none ({}); --device host says "
          "that this is meant, --device cuda refuses it",
          ranks[rank].host, rank, ranks[rank].why_none);
    }
  }
  return "";
}

}  // namespace

DeviceChoice choose_devices(DeviceWish wish, const std::vector<RankGpus>& ranks) {
  const bool any = std::any_of(ranks.begin(), ranks.end(),
                               [](const RankGpus& rank) { return !rank.gpus.empty(); });
  DeviceChoice choice;
  if (wish == DeviceWish::host || (wish == DeviceWish::automatic && !any)) {
    choice.warning = wish == DeviceWish::host ? "" : unused_warning(ranks);
    return choice;
  }
  if (!any) {
    throw DeviceError(
        fmt::format("--device cuda wants GPUs, none is to be had:{}", who_sees_what(ranks)));
  }
  choice.on_gpus = true;
  choice.ordinals.resize(ranks.size());
  std::map<int, std::vector<std::size_t>> nodes;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    nodes[ranks[rank].node].push_back(rank);
  }
  for (const auto& [node, members] : nodes) {
    choose_on_node(members, ranks, choice.ordinals);
  }
  choice.warning = mixed_warning(ranks, choice.ordinals);
  return choice;
}

std::string to_text(const RankGpus& rank) {
  nlohmann::json gpus = nlohmann::json::array();
  for (const GpuFacts& gpu : rank.gpus) {
    gpus.push_back({gpu.ordinal, gpu.name, gpu.uuid, gpu.bus_id, gpu.capability, gpu.total_bytes});
  }
  return nlohmann::json{rank.host, rank.node, gpus, rank.why_none, rank.machine_has_gpus, rank.seat}
      .dump();
}

RankGpus rank_gpus_from_text(std::string_view text) {
  const auto all = nlohmann::json::parse(text);
  RankGpus rank{.host = all[0],
                .node = all[1],
                .gpus = {},
                .why_none = all[3],
                .machine_has_gpus = all[4],
                .seat = all[5]};
  for (const auto& gpu : all[2]) {
    rank.gpus.push_back({.ordinal = gpu[0],
                         .name = gpu[1],
                         .uuid = gpu[2],
                         .bus_id = gpu[3],
                         .capability = gpu[4],
                         .total_bytes = gpu[5]});
  }
  return rank;
}

}  // namespace tutti
