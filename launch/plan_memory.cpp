#include "launch/plan_memory.hpp"

#include <algorithm>

#include "kernels/sample_penalty.hpp"
#include "kernels/sample_slots.hpp"
#include "models/decoder_workspace.hpp"
#include "runtime/cache/kv_cache.hpp"
#include "runtime/engine/step_inputs.hpp"

namespace tutti {
namespace {

// As in launch/session.cpp.
constexpr std::uint64_t kDriverReserve = std::uint64_t{256} << 20;
constexpr int kDeviceStepTokens = 4096;

KvLayout layout_of(const MemoryQuestion& wanted, const RankShare& share) {
  return {.layers = static_cast<int>(share.layers.size()),
          .kv_heads = static_cast<int>(share.kv_heads.size()),
          .head_dim = static_cast<int>(wanted.spec.head_dim),
          .dtype = wanted.kv};
}

std::uint64_t weight_bytes(const MemoryQuestion& wanted, const RankShare& share) {
  return static_cast<std::uint64_t>(static_cast<double>(share.parameters - share.vectors) *
                                    wanted.matrix_bytes_each) +
         static_cast<std::uint64_t>(share.vectors) * sizeof(float);
}

// The plan of a step, as StepInputs and SlotInputs hold it on the device.
std::uint64_t input_bytes(const MemoryQuestion& wanted, const ModelLimits& limits) {
  const StepExtents most{.tokens = limits.max_step_tokens,
                         .sequences = std::min(limits.max_step_tokens, limits.max_logit_rows),
                         .wanted = limits.max_logit_rows,
                         .max_blocks = KvLayout{}.pages_for(limits.max_context)};
  std::uint64_t bytes = static_cast<std::uint64_t>(most.words(!wanted.host)) * 4;
  if (!wanted.host) {
    const std::int64_t pairs =
        std::min(wanted.spec.vocabulary, limits.max_context) + kSampleMostBiases;
    bytes += sizeof(SampleSlotEntry) * static_cast<std::uint64_t>(limits.max_logit_rows) +
             static_cast<std::uint64_t>(pairs) * 8;
  }
  return bytes;
}

// What decoder_workspace_bytes counts that a host's rank does not hold, and the other way round.
std::uint64_t host_workspace(const MemoryQuestion& wanted, const RankShare& share,
                             const ModelLimits& limits, int rank) {
  const DecoderSpec& spec = wanted.spec;
  std::int64_t sampling = 2 + tally_words(spec.vocabulary) + 2 * kSampleMostBiases;
  sampling += rank == 0 ? 0 : spec.vocabulary;  // the root has the logits of all
  return decoder_workspace_bytes(spec, share, limits, DType::f32) -
         static_cast<std::uint64_t>(limits.max_logit_rows * sampling) * 4 +
         static_cast<std::uint64_t>(decoder_scratch_floats(spec, share, wanted.threads)) *
             sizeof(float);
}

std::uint64_t budget_of(const MemoryQuestion& wanted, int ranks) {
  if (wanted.host) {
    return wanted.device_bytes;
  }
  const auto share =
      static_cast<std::uint64_t>(wanted.memory_fraction * static_cast<double>(wanted.device_bytes));
  const std::uint64_t taken = kContextBytes + (ranks > 1 ? kGroupBytes : 0) +
                              std::max(kDriverReserve, wanted.device_bytes - share);
  return wanted.device_bytes > taken ? wanted.device_bytes - taken : 0;
}

}  // namespace

ModelLimits planned_limits(const MemoryQuestion& wanted) {
  ModelLimits limits{.max_context = wanted.context};
  const auto batch = static_cast<int>(wanted.batch);
  limits.max_step_tokens =
      std::max(wanted.host ? limits.max_step_tokens : kDeviceStepTokens, batch);
  limits.max_logit_rows = std::max(limits.max_logit_rows, batch);
  return limits;
}

std::int64_t RankMemory::pages_that_fit() const {
  const std::uint64_t fixed = weights + workspace;
  return fixed < budget ? static_cast<std::int64_t>((budget - fixed) / page) : 0;
}

RankMemory rank_memory(const MemoryQuestion& wanted, const ShardPlan& plan, int rank) {
  const RankShare& share = plan.share(rank);
  const ModelLimits limits = planned_limits(wanted);
  const KvLayout layout = layout_of(wanted, share);
  // As Session::load: whole pages, and one more for each sequence that is begun.
  const std::int64_t pages =
      (wanted.batch * wanted.context + layout.page_size - 1) / layout.page_size + wanted.batch;
  const std::uint64_t workspace =
      wanted.host ? host_workspace(wanted, share, limits, rank)
                  : decoder_workspace_bytes(wanted.spec, share, limits, wanted.activations) +
                        kOperationsWorkspace;
  return {.weights = weight_bytes(wanted, share),
          .kv = static_cast<std::uint64_t>(pages) * layout.page_bytes(),
          .workspace = workspace + input_bytes(wanted, limits),
          .budget = budget_of(wanted, plan.ranks()),
          .page = layout.page_bytes(),
          .pages = pages};
}

int smallest_count_that_fits(const MemoryQuestion& wanted) {
  const int most = ShardPlan::max_ranks(wanted.spec.shard_shape());
  for (int ranks = 1; ranks <= most; ++ranks) {
    const ShardPlan plan(wanted.spec.shard_shape(), ranks);
    bool fits = true;
    for (int rank = 0; rank < ranks && fits; ++rank) {
      fits = rank_memory(wanted, plan, rank).fits();
    }
    if (fits) {
      return ranks;
    }
  }
  return 0;
}

}  // namespace tutti
