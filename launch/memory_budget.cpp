#include "launch/memory_budget.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "models/decoder_workspace.hpp"

namespace tutti {
namespace {

std::string gib(std::uint64_t bytes) {
  return fmt::format("{:.2f} GiB", static_cast<double>(bytes) / 0x1p30);
}

}  // namespace

MemoryNeed memory_need(const MemoryCase& wanted, const RankShare& share) {
  const KvLayout layout{.layers = static_cast<int>(share.layers.size()),
                        .kv_heads = static_cast<int>(share.kv_heads.size()),
                        .head_dim = static_cast<int>(wanted.spec.head_dim),
                        .dtype = wanted.activations};
  const auto pages = static_cast<std::uint64_t>(layout.pages_for(wanted.kv_tokens));
  return {
      .weights = static_cast<std::uint64_t>(static_cast<double>(share.parameters) *
                                            wanted.weight_bytes_each),
      .workspace = decoder_workspace_bytes(wanted.spec, share, wanted.limits, wanted.activations) +
                   wanted.operations_workspace,
      .kv = pages * layout.page_bytes()};
}

MemoryNeed largest_need(const MemoryCase& wanted, int ranks) {
  const ShardPlan plan(wanted.spec.shard_shape(), ranks);
  MemoryNeed largest;
  for (int rank = 0; rank < ranks; ++rank) {
    const MemoryNeed need = memory_need(wanted, plan.share(rank));
    largest = need.total() > largest.total() ? need : largest;
  }
  return largest;
}

int smallest_rank_count(const MemoryCase& wanted, std::uint64_t budget) {
  const int most = ShardPlan::max_ranks(wanted.spec.shard_shape());
  for (int ranks = 1; ranks <= most; ++ranks) {
    if (largest_need(wanted, ranks).total() <= budget) {
      return ranks;
    }
  }
  return 0;
}

std::string shortfall_text(const MemoryCase& wanted, int ranks, std::uint64_t budget,
                           const std::string& model, const std::string& device) {
  const MemoryNeed need = largest_need(wanted, ranks);
  const int enough = smallest_rank_count(wanted, budget);
  std::string text = fmt::format(
      "{} on {} rank{} wants {} of each {} ({} of weights, {} of workspace, {} of KV cache for {} "
      "tokens), {} are to be had: {} too little; ",
      model, ranks, ranks == 1 ? "" : "s", gib(need.total()), device, gib(need.weights),
      gib(need.workspace), gib(need.kv), wanted.kv_tokens, gib(budget),
      gib(need.total() - std::min(need.total(), budget)));
  text += enough == 0 ? "no number of ranks makes it fit"
                      : fmt::format("{} rank{} {} the fewest that work", enough,
                                    enough == 1 ? "" : "s", enough == 1 ? "is" : "are");
  return text + " (or shorten --context, or raise --gpu-memory-fraction)";
}

}  // namespace tutti
