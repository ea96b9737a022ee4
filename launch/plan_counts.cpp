#include "launch/plan_counts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "kernels/error.hpp"
#include "launch/plan_calibrate.hpp"
#include "runtime/cache/kv_cache.hpp"

namespace tutti {
namespace {

constexpr std::array<int, 8> kUsualCounts{1, 2, 3, 4, 6, 8, 12, 16};

std::string gib(double bytes) {
  return fmt::format("{:.2f} GiB", bytes / 0x1p30);
}

MemoryQuestion memory_question(const PlanQuestion& question, const GpuKind& kind) {
  const DType own = kind.host ? DType::f32 : question.model.dtype;
  return {.spec = question.model.spec,
          .matrix_bytes_each = question.model.matrix_bytes_each,
          .activations = own,
          .kv = question.kv.value_or(own),
          .context = question.context,
          .batch = question.batch,
          .host = kind.host,
          .threads = question.threads,
          .device_bytes = question.device_bytes.value_or(kind.memory_bytes),
          .memory_fraction = question.memory_fraction};
}

SpeedCase speed_case(const PlanQuestion& question, const GpuKind& kind,
                     const MemoryQuestion& memory) {
  return {.spec = question.model.spec,
          .matrix_bytes_each = question.model.matrix_bytes_each,
          .kv_bytes_each = static_cast<double>(size_of(memory.kv)),
          .activation_bytes_each = static_cast<double>(size_of(memory.activations)),
          .batch = question.batch,
          .prompt_tokens = question.prompt_tokens,
          .new_tokens = question.new_tokens,
          .step_tokens = planned_limits(memory).max_step_tokens,
          .constants = kind.constants};
}

std::set<int> counts_to_plan(const PlanQuestion& question, int smallest) {
  if (!question.ranks.empty()) {
    return {question.ranks.begin(), question.ranks.end()};
  }
  std::set<int> counts;
  const int most = ShardPlan::max_ranks(question.model.spec.shard_shape());
  for (const int ranks : kUsualCounts) {
    if (ranks <= most) {
      counts.insert(ranks);
    }
  }
  if (smallest > 0) {
    counts.insert(smallest);
  }
  return counts;
}

CountPlan plan_count(const PlanQuestion& question, const DevicePlan& plan, int ranks) {
  CountPlan count{.shards = ShardPlan(question.model.spec.shard_shape(), ranks)};
  for (int rank = 0; rank < ranks; ++rank) {
    count.memory.push_back(rank_memory(plan.memory, count.shards, rank));
  }
  if (plan.speed.constants.known()) {
    const Link link = ranks > question.gpus_per_node ? Link::network : plan.kind.link;
    count.speed = predict(plan.speed, count.shards, link);
  }
  return count;
}

// The last count before a step that does not pay.
int paying_count(const std::vector<CountPlan>& counts) {
  const CountPlan* last = nullptr;
  for (const CountPlan& count : counts) {
    if (!count.fits() || !count.speed) {
      continue;
    }
    if (last != nullptr) {
      const double gained = count.speed->decode_per_second / last->speed->decode_per_second - 1;
      const double added = static_cast<double>(count.ranks()) / last->ranks() - 1;
      if (gained < kPayingShare * added) {
        break;
      }
    }
    last = &count;
  }
  return last == nullptr ? 0 : last->ranks();
}

}  // namespace

bool CountPlan::fits() const {
  return std::all_of(memory.begin(), memory.end(), [](const auto& rank) { return rank.fits(); });
}

std::size_t CountPlan::tightest() const {
  const auto left = [](const RankMemory& rank) {
    return static_cast<double>(rank.budget) - static_cast<double>(rank.needs());
  };
  const auto found =
      std::min_element(memory.begin(), memory.end(),
                       [&](const auto& a, const auto& b) { return left(a) < left(b); });
  return static_cast<std::size_t>(found - memory.begin());
}

std::int64_t CountPlan::kv_tokens_that_fit() const {
  std::int64_t pages = memory.front().pages_that_fit();
  for (const RankMemory& rank : memory) {
    pages = std::min(pages, rank.pages_that_fit());
  }
  return pages * KvLayout{}.page_size;
}

bool DevicePlan::fits() const {
  return std::any_of(counts.begin(), counts.end(), [](const auto& count) { return count.fits(); });
}

DevicePlan plan_on(const PlanQuestion& question, const GpuKind& kind) {
  DevicePlan plan{.kind = kind};
  plan.memory = memory_question(question, kind);
  plan.speed = speed_case(question, kind, plan.memory);
  for (const std::string& file : question.calibrations) {
    plan.calibrated.push_back(fmt::format(
        "{}: {}", file,
        calibrate(file, question.model, plan.speed, question.gpus_per_node, kind.link)));
  }
  for (const std::string& assignment : question.constants) {
    set_speed_constant(plan.speed.constants, assignment);
  }
  plan.smallest = smallest_count_that_fits(plan.memory);
  for (const int ranks : counts_to_plan(question, plan.smallest)) {
    plan.counts.push_back(plan_count(question, plan, ranks));
  }
  plan.pays_up_to = paying_count(plan.counts);
  return plan;
}

double share_of_ideal(const DevicePlan& plan, const CountPlan& count) {
  for (const CountPlan& base : plan.counts) {
    if (base.fits() && base.speed && count.speed) {
      return count.speed->decode_per_second * base.ranks() /
             (base.speed->decode_per_second * count.ranks());
    }
  }
  return 0;
}

std::string plan_shortfall(const PlanQuestion& question, const DevicePlan& plan) {
  const CountPlan& count = plan.counts.back();
  const RankMemory& rank = count.memory[count.tightest()];
  const auto needs = static_cast<double>(rank.needs());
  const auto budget = static_cast<double>(rank.budget);
  std::string text = fmt::format(
      "{} on {} rank{} wants {} of each {} ({} of weights, {} of workspace, {} of KV cache for {} "
      "x {} tokens), {} are to be had: {} too little; ",
      question.model.name, count.ranks(), count.ranks() == 1 ? "" : "s", gib(needs), plan.kind.name,
      gib(static_cast<double>(rank.weights)), gib(static_cast<double>(rank.workspace)),
      gib(static_cast<double>(rank.kv)), question.batch, question.context, gib(budget),
      gib(needs - budget));
  text += plan.smallest == 0 ? "no number of ranks makes it fit"
                             : fmt::format("{} rank{} the fewest that work", plan.smallest,
                                           plan.smallest == 1 ? " is" : "s are");
  return text + " (or a shorter --context, a smaller --batch" +
         (plan.kind.host ? ")" : ", a larger --gpu-memory-fraction)");
}

}  // namespace tutti
