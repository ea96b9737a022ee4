// One GPU for each rank of an MPI test or benchmark, or the reason why not all have one.
#pragma once

#include <fmt/format.h>

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "kernels/error.hpp"
#include "runtime/comm/mpi_control_plane.hpp"
#include "runtime/comm/mpi_session.hpp"
#include "runtime/comm/nccl_library.hpp"

namespace tutti::testing {

// Ranks as they lie on so many nodes, one after another: node_of_rank of what is no cluster.
inline std::vector<int> spread_over(int nodes, int ranks) {
  std::vector<int> node_of_rank;
  for (int rank = 0; rank < ranks; ++rank) {
    node_of_rank.push_back(rank * nodes / ranks);
  }
  return node_of_rank;
}

struct RankGpu {
  std::unique_ptr<MpiControlPlane> control;
  std::optional<CudaLibrary> library;
  std::unique_ptr<Device> device;  // may be there although others have none
  std::string why_not;             // the same on all ranks; empty where all have one of their own

  // Collective.
  static RankGpu open(const MpiSession& mpi) {
    RankGpu own;
    own.control = std::make_unique<MpiControlPlane>(mpi.world());
    std::string answer;  // a UUID, or "-" and a reason
    try {
      own.library.emplace(CudaLibrary::open());
      const auto seen = static_cast<int>(own.library->gpus().size());
      if (mpi.node_rank() >= seen) {
        throw DeviceError(fmt::format("{} ranks, {} GPUs", mpi.node_size(), seen));
      }
      own.device = own.library->make_device(mpi.node_rank());
      answer = own.device->uuid();
    } catch (const Error& error) {
      answer = fmt::format("-rank {}: {}", mpi.rank(), error.what());
    }
    std::set<std::string> uuids;
    for (const auto& bytes : own.control->all_gather(std::as_bytes(std::span(answer)))) {
      const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      if (own.why_not.empty() && text.starts_with('-')) {
        own.why_not = text.substr(1);
      } else if (own.why_not.empty() && !uuids.insert(text).second) {
        own.why_not = "two ranks see one GPU: " + text;
      }
    }
    return own;
  }
};

}  // namespace tutti::testing
