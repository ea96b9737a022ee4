#include "runtime/comm/gpu_group.hpp"

#include <algorithm>

#include "runtime/comm/hierarchical_communicator.hpp"
#include "runtime/comm/mpi_control_plane.hpp"

namespace tutti {
namespace {

constexpr std::size_t kNoGathers = 4096;  // of working memory: gathers are the whole group's

GroupLevel make_level(const CudaLibrary& library, Device& device, const MpiGroup& ranks,
                      const NcclOptions& options) {
  GroupLevel level;
  level.control = std::make_unique<MpiControlPlane>(ranks);
  level.group = make_nccl_communicator(library, device, *level.control, options);
  return level;
}

// Collective. Whether every rank says yes.
bool all_agree(ControlPlane& control, bool mine) {
  const std::byte word{mine};
  const auto words = control.all_gather({&word, 1});
  return std::all_of(words.begin(), words.end(),
                     [](const auto& bytes) { return bytes.front() == std::byte{true}; });
}

}  // namespace

std::unique_ptr<Communicator> make_gpu_group(const CudaLibrary& library, Device& device,
                                             const MpiGroup& ranks, ControlPlane& control,
                                             std::span<const int> node_of_rank,
                                             NcclOptions options) {
  options.one_node = std::all_of(node_of_rank.begin(), node_of_rank.end(),
                                 [&](int node) { return node == node_of_rank.front(); });
  const auto own = place_among_nodes(node_of_rank, ranks.rank());
  if (!own || !options.symmetric) {
    return make_nccl_communicator(library, device, control, options);
  }
  NcclOptions within = options;
  within.one_node = true;
  within.host += ", within the node";
  within.gather_bytes = kNoGathers;
  within.stage = {};
  within.waiting = {};
  GroupLevel node = make_level(library, device, ranks.split(own->node, own->place), within);
  if (!all_agree(control, node.group->shares_memory())) {
    node.group->close();
    return make_nccl_communicator(library, device, control, options);
  }
  NcclOptions between = within;
  between.symmetric = false;
  between.host = options.host + ", between nodes";
  options.symmetric = false;
  GroupLevel places = make_level(library, device, ranks.split(own->place, own->node), between);
  GroupLevel all{.control = nullptr,
                 .group = make_nccl_communicator(library, device, control, options)};
  std::string name =
      fmt::format("nccl hierarchical, {} nodes of {} ranks (within: {}; between: plain)",
                  own->nodes, own->ranks, node.group->name());
  return std::make_unique<HierarchicalCommunicator>(
      std::move(name), std::move(node), std::move(places), std::move(all), options.small_sum_bytes);
}

}  // namespace tutti
