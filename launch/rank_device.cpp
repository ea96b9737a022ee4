#include "launch/rank_device.hpp"

#include <fmt/format.h>

#include <array>
#include <filesystem>

#include "kernels/error.hpp"
#include "launch/exit_code.hpp"
#include "launch/output.hpp"
#include "launch/together.hpp"
#include "runtime/comm/gpu_group.hpp"
#include "runtime/comm/mpi_communicator.hpp"

namespace tutti {
namespace {

// Whether the machine has any, by its device files: they are there for who may not use them too.
bool has_gpus() {
  std::error_code none;
  return std::filesystem::exists("/dev/nvidia0", none);
}

// Not collective. Where GPUs are not wanted, the library is not even looked for.
RankGpus look_around(DeviceWish wish, const MpiRanks& mpi, std::optional<CudaLibrary>& library) {
  RankGpus own{.host = mpi.host(),
               .node = mpi.node_of_rank()[static_cast<std::size_t>(mpi.rank())],
               .gpus = {},
               .why_none = "--device host",
               .machine_has_gpus = has_gpus(),
               .seat = mpi.seat()};
  if (wish == DeviceWish::host) {
    return own;
  }
  try {
    library.emplace(CudaLibrary::open());
    own.gpus = library->gpus();
    own.why_none = "CUDA_VISIBLE_DEVICES or the launcher hides all";
  } catch (const DeviceError& error) {
    own.why_none = error.what();
  }
  return own;
}

NcclOptions nccl_options(const MpiRanks& mpi, const DeviceSetUp& set_up) {
  NcclOptions options;
  options.host = mpi.host();
  options.warn = [root = mpi.rank() == 0](const std::string& message) {
    if (root) {
      write_message(fmt::format("tutti: warning: {}\n", message));
    }
  };
  options.join_deadline = set_up.join_deadline;
  options.wait_deadline = set_up.wait_deadline;
  options.equal_bits = set_up.equal_bits;
  options.stage = set_up.enter;
  options.waiting = [&mpi](std::string_view what) { mpi.group().state().wait_for(what); };
  options.failed = [&mpi](const std::string& message) {
    if (mpi.group().state().report(message)) {
      return;
    }
    write_message(fmt::format("tutti: rank {} on {}: {}\n", mpi.rank(), mpi.host(), message));
    mpi.abort(static_cast<int>(ExitCode::peer));
  };
  return options;
}

std::vector<RankGpus> gather_gpus(ControlPlane& control, const RankGpus& own) {
  const std::string text = to_text(own);
  std::vector<RankGpus> ranks;
  for (const auto& bytes : control.all_gather(std::as_bytes(std::span(text)))) {
    ranks.push_back(
        rank_gpus_from_text({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
  }
  return ranks;
}

}  // namespace

RankDevice open_rank_device(DeviceWish wish, const MpiRanks& mpi, const RankGrid& grid,
                            ControlPlane& control, int threads, const DeviceSetUp& set_up) {
  const auto enter = [&](const char* stage) {
    if (set_up.enter) {
      set_up.enter(stage);
    }
  };
  enter("devices");
  std::optional<CudaLibrary> library;
  const std::vector<RankGpus> ranks = gather_gpus(control, look_around(wish, mpi, library));
  DeviceChoice choice;
  together(control, mpi.host(), [&] { choice = choose_devices(wish, ranks); });
  RankDevice own;
  own.warning = choice.warning;
  if (!choice.on_gpus) {
    enter("communicators");
    own.device = make_host_device(threads);
    own.communicator = std::make_unique<MpiCommunicator>(split_tensor_group(mpi.group(), grid));
    enter("self-test");
    try_first_sum(*own.communicator, *own.device);
    own.backend =
        mpi.size() > 1 ? fmt::format("host, {}", own.communicator->name()) : std::string("host");
    return own;
  }
  together(control, mpi.host(), [&] {
    own.device = library->make_device(choice.ordinals[static_cast<std::size_t>(mpi.rank())]);
  });
  enter("communicators");
  alike([&] {
    own.communicator = make_gpu_group(*library, *own.device, mpi.group(), control,
                                      mpi.node_of_rank(), nccl_options(mpi, set_up));
  });
  if (mpi.size() > 1) {
    try_first_sum(*own.communicator, *own.device);  // by all its parts together
  }
  own.backend = mpi.size() > 1 ? fmt::format("{}, {}", own.device->name(), own.communicator->name())
                               : own.device->name();
  return own;
}

void try_first_sum(Communicator& group, Device& device) {
  std::array<float, 64> numbers{};
  numbers.fill(static_cast<float>(group.rank() + 1));
  const DeviceMemory memory = device.allocate(sizeof numbers, "a sum");
  device.copy_in(memory.data(), numbers.data(), sizeof numbers);
  const auto columns = static_cast<std::int64_t>(numbers.size());
  group.all_reduce_sum(device.exec(),
                       {memory.data(), DType::f32, device.place(), {std::int64_t{1}, columns}});
  device.copy_out(numbers.data(), memory.data(), sizeof numbers);
  device.synchronize();
  const auto wanted = static_cast<float>(group.size() * (group.size() + 1) / 2);
  for (const float found : numbers) {
    if (found != wanted) {
      throw CommError(fmt::format("the sum over {} ranks by {}: wanted {}, found {}", group.size(),
                                  group.name(), wanted, found));
    }
  }
}

}  // namespace tutti
