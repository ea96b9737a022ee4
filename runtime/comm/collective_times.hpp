// How long the collectives of a group take, as they run in a graph: what `tutti bench collectives`
// prints, on any device and communicator.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "runtime/comm/communicator.hpp"

namespace tutti {

struct CollectiveCase {
  enum class Kind { all_reduce, all_reduce_add_rmsnorm, all_gather };
  Kind kind = Kind::all_reduce;
  std::int64_t rows = 1;
  std::int64_t columns = 0;  // of x; for a gather of y, split evenly over the ranks
  DType dtype = DType::bf16;
  bool shared = true;  // x in allocate_shared() memory, as models have it, else in the device's own
};

struct CollectiveTime {
  CollectiveCase what;
  std::size_t bytes = 0;    // of x, or of y of a gather
  double microseconds = 0;  // median of the repeats, then the slowest rank's
  // GB/s as nccl-tests count them: bytes by time, and times 2 (n - 1) / n for an all-reduce or
  // (n - 1) / n for a gather, what the links carry.
  double algorithm_rate = 0;
  double bus_rate = 0;
};

// "all_reduce 1 x 4096 bf16"; ", plain memory" where it is not shared.
std::string describe(const CollectiveCase& what);

// All-reduce by size from 8 KiB to 64 MiB; with residual and norm for 1, 4 and 16 tokens of 4096
// and 8192; gathers of logits. For a host smaller ones in f32.
std::vector<CollectiveCase> usual_collective_cases(Place place);

// Collective. Each case is recorded many times in a row in one graph, which is replayed `repeats`
// times after a barrier. Equal results on all ranks. Errors: those of the calls.
std::vector<CollectiveTime> time_collectives(Communicator& group, ControlPlane& control,
                                             Device& device, std::span<const CollectiveCase> cases,
                                             int repeats = 9);

}  // namespace tutti
