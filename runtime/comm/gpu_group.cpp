#include "runtime/comm/gpu_group.hpp"

#include <atomic>

#include "runtime/comm/hierarchical_communicator.hpp"
#include "runtime/comm/mpi_control_plane.hpp"

namespace tutti {
namespace {

// Two summands give the same bits in either order. Among more nodes NCCL may add in one order at
// one place and in another elsewhere.
constexpr int kNodesOfEqualBits = 2;
constexpr std::size_t kNoGathers = 4096;  // of working memory: gathers are the whole group's

GroupLevel make_level(const CudaLibrary& library, Device& device, const MpiGroup& ranks,
                      const NcclOptions& options) {
  GroupLevel level;
  level.control = std::make_unique<MpiControlPlane>(ranks);
  level.group = make_nccl_communicator(library, device, *level.control, options);
  return level;
}

// Three groups that fail together are one failure.
std::function<void(const std::string&)> once(std::function<void(const std::string&)> failed) {
  if (!failed) {
    return failed;
  }
  return [told = std::make_shared<std::atomic<bool>>(false),
          failed = std::move(failed)](const std::string& message) {
    if (!told->exchange(true)) {
      failed(message);
    }
  };
}

}  // namespace

std::unique_ptr<Communicator> make_gpu_group(const CudaLibrary& library, Device& device,
                                             const MpiGroup& ranks, ControlPlane& control,
                                             std::span<const int> node_of_rank,
                                             NcclOptions options) {
  options.one_node = on_one_node(node_of_rank);
  const auto own = place_among_nodes(node_of_rank, ranks.rank());
  if (!own || !options.symmetric || (options.equal_bits && own->nodes > kNodesOfEqualBits)) {
    return make_nccl_communicator(library, device, control, options);
  }
  options.failed = once(std::move(options.failed));
  NcclOptions within = options;
  within.one_node = true;
  within.host += ", within the node";
  within.gather_bytes = kNoGathers;
  within.stage = {};
  within.waiting = {};
  within.warn = {};
  GroupLevel node = make_level(library, device, ranks.split(own->node, own->place), within);
  const std::string why =
      first_text(control, node.group->shares_memory() ? std::string_view() : node.group->name());
  if (!why.empty()) {
    node.group->close();
    if (options.warn) {
      options.warn(fmt::format("sums are not joined within nodes first: on one of them {}", why));
    }
    return make_nccl_communicator(library, device, control, options);
  }
  NcclOptions between = within;
  between.one_node = false;
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
