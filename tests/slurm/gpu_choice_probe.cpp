// Which GPU each rank would take of those that its launcher lets it see, where there are none: the
// indices in CUDA_VISIBLE_DEVICES stand for GPUs of the rank's host. Rank 0 prints "HOST NODE_RANK
// VISIBLE ORDINAL GPU" for each rank; a choice that is refused ends all with its message and
// code 2.
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "kernels/error.hpp"
#include "launch/device_choice.hpp"
#include "runtime/comm/mpi_control_plane.hpp"
#include "runtime/comm/mpi_session.hpp"

namespace {

using namespace tutti;

RankGpus visible(const MpiSession& mpi, const std::string& devices) {
  RankGpus own{.host = mpi.host(),
               .node = mpi.node_of_rank()[static_cast<std::size_t>(mpi.rank())],
               .gpus = {},
               .why_none = "CUDA_VISIBLE_DEVICES is empty",
               .machine_has_gpus = true,
               .seat = mpi.node_rank()};
  std::istringstream list(devices);
  for (std::string index; std::getline(list, index, ',');) {
    own.gpus.push_back({.ordinal = static_cast<int>(own.gpus.size()),
                        .name = "none",
                        .uuid = fmt::format("{}:{}", own.host, index),
                        .bus_id = "",
                        .capability = 90});
  }
  return own;
}

}  // namespace

int main(int argc, char** argv) {
  MpiSession mpi(argc, argv);
  const char* devices = std::getenv("CUDA_VISIBLE_DEVICES");
  const std::string seen = devices == nullptr ? "" : devices;
  MpiControlPlane control(mpi.world());
  const std::string text = to_text(visible(mpi, seen));
  std::vector<RankGpus> ranks;
  for (const auto& bytes : control.all_gather(std::as_bytes(std::span(text)))) {
    ranks.push_back(
        rank_gpus_from_text({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
  }
  constexpr int kRefused = 2;
  try {
    const DeviceChoice choice = choose_devices(DeviceWish::cuda, ranks);
    for (std::size_t rank = 0; mpi.rank() == 0 && rank < ranks.size(); ++rank) {
      const int ordinal = choice.ordinals[rank];
      const std::vector<GpuFacts>& gpus = ranks[rank].gpus;
      std::printf("%s %d %zu %d %s\n", ranks[rank].host.c_str(), ranks[rank].seat, gpus.size(),
                  ordinal, gpus[static_cast<std::size_t>(ordinal)].uuid.c_str());
    }
  } catch (const Error& error) {
    if (mpi.rank() == 0) {
      std::fprintf(stderr, "%s\n", error.what());
    }
    return kRefused;
  }
  return 0;
}
