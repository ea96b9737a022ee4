// What each rank's memory will hold: to the byte what a run allocates, and what is there for it.
#pragma once

#include <cstdint>

#include "models/decoder_spec.hpp"
#include "models/registry.hpp"

namespace tutti {

// What a run on a GPU finds taken before it loads anything, as far as nobody can compute it: free
// memory before the program starts, less free memory when its first weight is loaded, less
// kOperationsWorkspace; on one rank the first, what several take more the second. With these the KV
// caches of runs on one H100 and one to four H200 are as planned within 0.7 %.
inline constexpr std::uint64_t kContextBytes = std::uint64_t{560} << 20;  // CUDA and its libraries
inline constexpr std::uint64_t kGroupBytes = std::uint64_t{420} << 20;    // NCCL, several ranks

// Device::workspace_bytes of a GPU: kWorkspaceBytes and kCounters of kernels/cuda_context.cuh and
// the workspace of kernels/gemm_library.cpp.
inline constexpr std::uint64_t kOperationsWorkspace = (std::uint64_t{96} << 20) + 16384 * 4;

// What is asked of a run.
struct MemoryQuestion {
  DecoderSpec spec;
  double matrix_bytes_each = 2;     // of one parameter; norms are f32
  DType activations = DType::bf16;  // f32 on a host
  DType kv = DType::bf16;           // f32 on a host
  std::int64_t context = 0;         // tokens of one sequence, prompt and answer
  std::int64_t batch = 1;           // sequences that run together
  bool host = false;
  int threads = 1;                 // of a host's rank
  std::uint64_t device_bytes = 0;  // of one rank
  double memory_fraction = 0.9;    // of a GPU's, as --gpu-memory-fraction
};

// Limits of the model that Session makes for such a run.
ModelLimits planned_limits(const MemoryQuestion& wanted);

// Of one rank, bytes.
struct RankMemory {
  std::uint64_t weights = 0;
  std::uint64_t kv = 0;
  std::uint64_t workspace = 0;
  std::uint64_t budget = 0;  // what the three may take together
  std::uint64_t page = 0;    // of the KV cache
  std::int64_t pages = 0;    // that the load asks for

  std::uint64_t needs() const { return weights + kv + workspace; }
  bool fits() const { return needs() <= budget; }
  // Pages that there is room for; 0 where not even weights and workspace fit.
  std::int64_t pages_that_fit() const;
};

RankMemory rank_memory(const MemoryQuestion& wanted, const ShardPlan& plan, int rank);
// The smallest number of ranks whose every rank fits; 0 where none does.
int smallest_count_that_fits(const MemoryQuestion& wanted);

}  // namespace tutti
