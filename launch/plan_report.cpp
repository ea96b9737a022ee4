#include "launch/plan_report.hpp"

#include <fmt/format.h>

#include "launch/identity_banner.hpp"
#include "runtime/cache/kv_cache.hpp"

namespace tutti {
namespace {

double gib(std::uint64_t bytes) {
  return static_cast<double>(bytes) / 0x1p30;
}

double left_gib(const RankMemory& rank) {
  return (static_cast<double>(rank.budget) - static_cast<double>(rank.needs())) / 0x1p30;
}

std::string plural(std::int64_t count, std::string_view word) {
  return fmt::format("{} {}{}", count, word, count == 1 ? "" : "s");
}

std::string head_text(const PlanQuestion& question, DType kv) {
  const PlannedModel& model = question.model;
  std::string text =
      fmt::format("model    {}, {}: {}, {} parameters, {}, {:.2f} GiB as loaded\n", model.name,
                  kind_text(model.kind), model.spec.architecture, human_count(model.parameters),
                  name_of(model.dtype), gib(model.weight_bytes));
  if (!model.fingerprint.empty()) {
    text += fmt::format("         fingerprint {}\n", short_fingerprint(model.fingerprint));
  }
  if (model.spec.experts > 0) {
    text += fmt::format("experts  {} of {} for each token\n", model.spec.experts_per_token,
                        model.spec.experts);
  }
  text += fmt::format("load     {} of {} tokens (--batch, --context), keys and values {}\n",
                      plural(question.batch, "sequence"), question.context, name_of(kv));
  return text;
}

std::string device_text(const DevicePlan& plan) {
  const MemoryQuestion& memory = plan.memory;
  std::string text = fmt::format("device   {}: {}, {:.2f} GiB for each rank", plan.kind.name,
                                 plan.kind.title, gib(memory.device_bytes));
  if (memory.host) {
    return text + "\n";
  }
  text += fmt::format(
      "\n         {:.0f} % of it to fill (--gpu-memory-fraction), less {:.2f} GiB for CUDA and its "
      "libraries\n        ",
      100 * memory.memory_fraction, gib(kContextBytes));
  return text + fmt::format(" and, on several ranks, {:.2f} GiB for NCCL\n", gib(kGroupBytes));
}

// The counts, a row each; sizes are those of the tightest rank.
std::string count_rows(const DevicePlan& plan) {
  std::string text =
      "\nranks  fits   needs GiB   has GiB  left GiB  KV tokens  imbalance  ms/token     tok/s  of "
      "ideal\n";
  for (const CountPlan& count : plan.counts) {
    const RankMemory& rank = count.memory[count.tightest()];
    text += fmt::format("{:>5}  {:<4} {:>11.2f} {:>9.2f} {:>9.2f} {:>10} {:>8.1f} %", count.ranks(),
                        count.fits() ? "yes" : "no", gib(rank.needs()), gib(rank.budget),
                        left_gib(rank), count.kv_tokens_that_fit(), 100 * count.shards.imbalance());
    if (count.fits() && count.speed) {
      text += fmt::format(" {:>9.2f} {:>9.1f} {:>7.0f} %", 1e3 * count.speed->step.total(),
                          count.speed->decode_per_second, 100 * share_of_ideal(plan, count));
    }
    text += "\n";
  }
  return text;
}

// "192", or of experts "128 x 192".
std::string columns_text(const RankShare& share) {
  return share.experts.size() == 0 ? fmt::to_string(share.ffn.size())
                                   : fmt::format("{} x {}", share.experts.size(), share.ffn.size());
}

std::string rank_row(const CountPlan& count, int first, int last) {
  const RankShare& share = count.shards.share(first);
  const RankMemory& rank = count.memory[static_cast<std::size_t>(first)];
  return fmt::format(
      "{:>7} {:>12.2f} {:>9.2f} {:>13.2f} {:>9.2f} {:>10} {:>6} {:>9} {:>11} {:>11}\n",
      first == last ? fmt::to_string(first) : fmt::format("{}-{}", first, last), gib(rank.weights),
      gib(rank.kv), gib(rank.workspace), left_gib(rank),
      rank.pages_that_fit() * KvLayout{}.page_size, share.q_heads.size(), share.kv_heads.size(),
      columns_text(share), share.vocabulary.size());
}

// A row for each run of ranks that look alike.
std::string rank_rows(const CountPlan& count) {
  std::string text = fmt::format(
      "\non {}, imbalance {:.1f} %\n   rank  weights GiB    KV GiB workspace GiB  left GiB  KV "
      "tokens  heads  KV heads FFN columns vocabulary\n",
      plural(count.ranks(), "rank"), 100 * count.shards.imbalance());
  int first = 0;
  std::string tail;
  for (int rank = 0; rank < count.ranks(); ++rank) {
    const std::string own = rank_row(count, rank, rank).substr(7);
    if (rank > 0 && own != tail) {
      text += rank_row(count, first, rank - 1);
      first = rank;
    }
    tail = own;
  }
  return text + rank_row(count, first, count.ranks() - 1);
}

std::string speed_rows(const PlanQuestion& question, const CountPlan& count) {
  const SpeedPrediction& speed = *count.speed;
  const StepTime& step = speed.step;
  return fmt::format(
      "\npredicted on {}, {} of {} + {} tokens (--prompt-tokens, --new-tokens)\n"
      "first token    {:.1f} ms\n"
      "per token      {:.2f} ms: products {:.2f}, cache {:.2f}, small kernels {:.2f}, between them "
      "{:.2f}, sums {:.2f}\n"
      "decode         {:.1f} tok/s; with the prompts {:.1f} tok/s\n",
      plural(count.ranks(), "rank"), plural(question.batch, "request"), question.prompt_tokens,
      question.new_tokens, 1e3 * speed.prompt_seconds, 1e3 * step.total(), 1e3 * step.products,
      1e3 * step.cache, 1e3 * step.small, 1e3 * step.starts, 1e3 * step.sums,
      speed.decode_per_second, speed.whole_per_second);
}

std::string constants_text(const DevicePlan& plan) {
  std::string text = fmt::format("\nconstants (--set NAME=VALUE, --calibrate FILE); {}: {}\n",
                                 plan.kind.name, plan.kind.source);
  for (const SpeedConstantInfo& info : speed_constants()) {
    text += fmt::format("  {:<22}{:>7g} {:<8} {} ({})\n", info.name,
                        plan.speed.constants.*info.member, info.unit, info.meaning, info.source);
  }
  for (const std::string& line : plan.calibrated) {
    text += "  calibrated by " + line + "\n";
  }
  return text;
}

std::string verdict(const DevicePlan& plan) {
  std::string text =
      plan.smallest == 0
          ? "\nno number of ranks fits\n"
          : fmt::format(
                "\n{} the fewest of this kind that fit{}\n",
                plan.smallest == 1 ? "1 rank is" : fmt::format("{} ranks are", plan.smallest),
                plan.smallest == 1 ? "s" : "");
  if (plan.pays_up_to == 0) {
    return text;
  }
  if (plan.pays_up_to == plan.counts.back().ranks()) {
    return text + fmt::format("adding ranks pays up to {}, the most that was looked at\n",
                              plan.pays_up_to);
  }
  return text + fmt::format(
                    "adding ranks pays up to {}: the next step brings less than half of "
                    "what its ranks could\n",
                    plan.pays_up_to);
}

bool detailed(const PlanQuestion& question, const DevicePlan& plan, const CountPlan& count) {
  const int one = plan.smallest > 0 ? plan.smallest : plan.counts.back().ranks();
  return !question.ranks.empty() || count.ranks() == one;
}

}  // namespace

std::string plan_text(const PlanQuestion& question, const DevicePlan& plan) {
  std::string text = head_text(question, plan.memory.kv);
  if (plan.memory.kv != plan.memory.activations) {
    text += fmt::format("         a what-if: runs keep keys and values in {} so far\n",
                        name_of(plan.memory.activations));
  }
  text += device_text(plan) + count_rows(plan);
  const CountPlan* predicted = nullptr;
  for (const CountPlan& count : plan.counts) {
    if (detailed(question, plan, count)) {
      text += rank_rows(count);
      if (predicted == nullptr && count.fits() && count.speed) {
        predicted = &count;
      }
    }
  }
  if (predicted != nullptr) {
    text += speed_rows(question, *predicted);
  }
  text += verdict(plan);
  return plan.speed.constants.known() ? text + constants_text(plan) : text;
}

std::string kinds_text(const PlanQuestion& question, const std::vector<DevicePlan>& plans) {
  std::string text = head_text(question, question.kv.value_or(question.model.dtype));
  text += fmt::format(
      "\nkind       GiB each  ranks  needs GiB  left GiB  KV tokens  ms/token     tok/s  pays up "
      "to\n");
  for (const DevicePlan& plan : plans) {
    text += fmt::format("{:<10} {:>8.1f}", plan.kind.name, gib(plan.memory.device_bytes));
    const CountPlan* first = nullptr;
    for (const CountPlan& count : plan.counts) {
      first = first == nullptr && count.fits() ? &count : first;
    }
    if (first == nullptr) {
      const CountPlan& last = plan.counts.back();
      text += fmt::format("     no  {} too small by {:.2f} GiB\n", plural(last.ranks(), "rank"),
                          -left_gib(last.memory[last.tightest()]));
      continue;
    }
    const RankMemory& rank = first->memory[first->tightest()];
    text += fmt::format(" {:>6} {:>10.2f} {:>9.2f} {:>10} {:>9.2f} {:>9.1f} {:>11}\n",
                        first->ranks(), gib(rank.needs()), left_gib(rank),
                        first->kv_tokens_that_fit(), 1e3 * first->speed->step.total(),
                        first->speed->decode_per_second, plan.pays_up_to);
  }
  return text + "\nranks: the fewest that fit. --gpu KIND shows one of them in full\n";
}

}  // namespace tutti
