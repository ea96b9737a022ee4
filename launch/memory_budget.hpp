// Whether a model fits the memory of its ranks' devices, and how many ranks it would take.
#pragma once

#include <cstdint>
#include <string>

#include "models/registry.hpp"
#include "runtime/shard/shard_plan.hpp"

namespace tutti {

// What a rank's device has to hold, in bytes.
struct MemoryNeed {
  std::uint64_t weights = 0;
  std::uint64_t workspace = 0;  // activations and what the device's operations keep
  std::uint64_t kv = 0;
  std::uint64_t total() const { return weights + workspace + kv; }
};

// What a run asks for, whatever the number of ranks.
struct MemoryCase {
  DecoderSpec spec;
  double weight_bytes_each = 2;  // of one parameter
  DType activations = DType::bf16;
  ModelLimits limits;
  std::int64_t kv_tokens = 0;
  std::uint64_t operations_workspace = 0;  // Device::workspace_bytes
};

MemoryNeed memory_need(const MemoryCase& wanted, const RankShare& share);
// Of the rank that needs most.
MemoryNeed largest_need(const MemoryCase& wanted, int ranks);
// The smallest number of ranks whose every share fits in `budget` bytes; 0 where none does.
int smallest_rank_count(const MemoryCase& wanted, std::uint64_t budget);

// "…: 2 ranks want 75.3 GiB on each GPU (…), 70.1 GiB are to be had, 5.2 GiB too little; 3 ranks
// are the fewest that work".
std::string shortfall_text(const MemoryCase& wanted, int ranks, std::uint64_t budget,
                           const std::string& model, const std::string& device);

}  // namespace tutti
