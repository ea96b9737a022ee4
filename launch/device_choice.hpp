// Which GPU a rank computes on, or whether it stays on the host.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runtime/device/cuda_library.hpp"

namespace tutti {

enum class DeviceWish { automatic, cuda, host };

// What one rank may use, as the launcher (CUDA_VISIBLE_DEVICES, Slurm's --gpus-per-task, …) left
// it.
struct RankGpus {
  std::string host;
  int node = 0;  // index of the node, equal for ranks that share one
  std::vector<GpuFacts> gpus;
  std::string why_none;           // where there are none: the driver's or the loader's reason
  bool machine_has_gpus = false;  // whether it may use them or not
  // MpiRanks::seat; -1: the rank's index among those of its node that are given here.
  int seat = -1;
};

struct DeviceChoice {
  bool on_gpus = false;
  std::vector<int> ordinals;  // by rank: among the GPUs that the rank sees
  std::string warning;        // a line for the root to say, or empty
};

// Pure; the same on every rank. A rank of a node takes the visible GPU of its seat, or the
// only one it sees. `automatic` means GPUs where any rank sees one. Errors:
// ConfigError that lists who sees what, where there are fewer GPUs than ranks on a node or two
// ranks would share one; DeviceError where GPUs are wanted and nobody sees any.
DeviceChoice choose_devices(DeviceWish wish, const std::vector<RankGpus>& ranks);

// RankGpus as text that ranks exchange, and back.
std::string to_text(const RankGpus& rank);
RankGpus rank_gpus_from_text(std::string_view text);

}  // namespace tutti
