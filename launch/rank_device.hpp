// The device of this rank and the communicator of its group there.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "launch/device_choice.hpp"
#include "runtime/comm/communicator.hpp"
#include "runtime/comm/mpi_ranks.hpp"
#include "runtime/comm/rank_grid.hpp"

namespace tutti {

struct RankDevice {
  std::unique_ptr<Device> device;
  std::unique_ptr<Communicator> communicator;  // ends before the device
  std::string backend;                         // "host, mpi", "NVIDIA H100, nccl symmetric"
  std::string warning;                         // for the root to say, or empty
};

// How long peers are waited for, and who hears what is being done.
struct DeviceSetUp {
  std::chrono::milliseconds join_deadline{60000};
  std::chrono::milliseconds wait_deadline{60000};
  bool equal_bits = false;                              // NcclOptions
  std::function<void(const std::string& stage)> enter;  // "devices", "communicators", "self-test"
};

// Collective over `ranks`, the world or a part of it. Agrees on a device for each rank, opens it
// and builds the group's communicator, which tests itself. Errors: AgreedFailure.
RankDevice open_rank_device(DeviceWish wish, const MpiRanks& ranks, const RankGrid& grid,
                            ControlPlane& control, int threads, const DeviceSetUp& set_up = {});

// Collective. Ranks add their numbers, exact in f32 and known to everybody. Errors: CommError.
void try_first_sum(Communicator& group, Device& device);

}  // namespace tutti
