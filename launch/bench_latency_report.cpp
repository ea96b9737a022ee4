// What a latency run says: a table for a person, an object for a machine.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "launch/bench_latency.hpp"
#include "launch/progress.hpp"

namespace tutti {
namespace {

using nlohmann::json;

double percent(double part, double whole) {
  return whole > 0 ? 100 * part / whole : 0;
}

double per_second(double amount, double seconds) {
  return seconds > 0 ? amount / seconds : 0;
}

json summary_json(const Summary& summary) {
  return {{"mean", summary.mean},   {"p50", summary.p50},   {"p99", summary.p99},
          {"least", summary.least}, {"most", summary.most}, {"spread", summary.spread()}};
}

std::string decode_rows(const LatencyResult& result) {
  std::string text;
  text += fmt::format("decode          {:.2f} tok/s, spread {:.1f} %\n", result.decode_speed.mean,
                      100 * result.decode_speed.spread());
  text += fmt::format("with the prompt {:.2f} tok/s, spread {:.1f} %\n", result.whole_speed.mean,
                      100 * result.whole_speed.spread());
  text += fmt::format("per token       {:.2f} ms mean, {:.2f} ms p50, {:.2f} ms p99\n",
                      1e3 * result.between_tokens.mean, 1e3 * result.between_tokens.p50,
                      1e3 * result.between_tokens.p99);
  if (result.collective_seconds > 0) {
    text += fmt::format("collectives     {:.3f} ms of a step: {:.1f} %\n",
                        1e3 * result.collective_seconds,
                        percent(result.collective_seconds, result.between_tokens.p50));
  }
  text += fmt::format("bytes per token {} ({} of weights, {} of KV)\n",
                      human_bytes(static_cast<std::uint64_t>(result.bytes_per_token())),
                      human_bytes(static_cast<std::uint64_t>(result.weight_bytes_per_token)),
                      human_bytes(static_cast<std::uint64_t>(result.kv_bytes_per_token)));
  text += fmt::format("bandwidth       {:.2f} GB/s of {:.2f} GB/s measured: {:.1f} %\n",
                      result.achieved_bandwidth() / 1e9, result.read_bandwidth / 1e9,
                      percent(result.achieved_bandwidth(), result.read_bandwidth));
  return text;
}

// Pairs of the rank that had most over the mean, less 1: what whole experts on ranks may lead to.
double expert_imbalance(const std::vector<ExpertLoad>& ranks) {
  std::int64_t most = 0;
  std::int64_t sum = 0;
  for (const ExpertLoad& load : ranks) {
    most = std::max(most, load.pairs);
    sum += load.pairs;
  }
  return sum > 0 ? static_cast<double>(most) * static_cast<double>(ranks.size()) /
                           static_cast<double>(sum) -
                       1
                 : 0;
}

bool has_experts(const std::vector<ExpertLoad>& ranks) {
  return !ranks.empty() && ranks.front().held > 0;
}

std::string expert_rows(const LatencyResult& result) {
  if (!has_experts(result.experts)) {
    return "";
  }
  std::string text = fmt::format(
      "\nexperts in the last step, over all layers; imbalance {:.1f} %\n"
      "rank    held    read  tokens x experts\n",
      100 * expert_imbalance(result.experts));
  for (std::size_t rank = 0; rank < result.experts.size(); ++rank) {
    const ExpertLoad& load = result.experts[rank];
    text += fmt::format("{:>4} {:>7} {:>7} {:>17}\n", rank, load.held, load.read, load.pairs);
  }
  return text;
}

json experts_json(const LatencyResult& result) {
  json ranks = json::array();
  for (const ExpertLoad& load : result.experts) {
    ranks.push_back({{"held", load.held},
                     {"read", load.read},
                     {"pairs", load.pairs},
                     {"bytes_each", load.bytes_each}});
  }
  return {{"imbalance", expert_imbalance(result.experts)}, {"per_rank", std::move(ranks)}};
}

std::string memory_rows(const LatencyResult& result) {
  std::string text = "\nrank     threads    weights         KV  workspace  peak resident\n";
  for (std::size_t rank = 0; rank < result.ranks.size(); ++rank) {
    const RankFacts& facts = result.ranks[rank];
    text += fmt::format("{:>4} {:>11} {:>10} {:>10} {:>10} {:>14}\n", rank, facts.threads,
                        human_bytes(facts.weights), human_bytes(facts.kv),
                        human_bytes(facts.workspace), human_bytes(facts.peak_rss));
  }
  return text;
}

}  // namespace

std::string latency_text(const LoadedFacts& facts, const LatencyOptions& options,
                         const LatencyResult& result) {
  const double prompt_speed = per_second(result.prompt_flops, result.first_token.mean);
  const double library_speed = per_second(result.prompt_flops, result.library_seconds);
  std::string text = identity_banner(facts);
  text += fmt::format(
      "run      {} request{}, {} prompt tokens, {} new tokens, {} repeats after one, seed {}\n\n",
      options.batch, options.batch == 1 ? "" : "s", options.prompt_tokens, options.new_tokens,
      options.repeats, options.seed);
  text += fmt::format("load            {} in {}, {:.2f} GB/s\n", human_bytes(facts.load_bytes),
                      human_duration(facts.load_seconds),
                      per_second(static_cast<double>(facts.load_bytes), facts.load_seconds) / 1e9);
  text += fmt::format("first token     {:.2f} ms, spread {:.1f} %\n", 1e3 * result.first_token.mean,
                      100 * result.first_token.spread());
  text += fmt::format(
      "prompt          {:.1f} tok/s, {:.1f} GFLOP/s of {:.1f} GFLOP/s by the "
      "library: {:.1f} %\n",
      per_second(options.batch * options.prompt_tokens, result.first_token.mean),
      prompt_speed / 1e9, library_speed / 1e9, percent(prompt_speed, library_speed));
  return text + decode_rows(result) + expert_rows(result) + memory_rows(result);
}

json latency_json(const LoadedFacts& facts, const LatencyOptions& options,
                  const LatencyResult& result) {
  const double prompt_speed = per_second(result.prompt_flops, result.first_token.mean);
  json object = {
      {"benchmark", "latency"},
      {"imbalance", facts.imbalance},
      {"batch", options.batch},
      {"prompt_tokens", options.prompt_tokens},
      {"new_tokens", options.new_tokens},
      {"repeats", options.repeats},
      {"seed", options.seed},
      {"load", {{"bytes", facts.load_bytes}, {"seconds", facts.load_seconds}}},
      {"first_token_seconds", summary_json(result.first_token)},
      {"prompt_tokens_per_second",
       per_second(options.batch * options.prompt_tokens, result.first_token.mean)},
      {"prompt_flop_per_second", prompt_speed},
      {"library_flop_per_second", per_second(result.prompt_flops, result.library_seconds)},
      {"decode_tokens_per_second", summary_json(result.decode_speed)},
      {"tokens_per_second", summary_json(result.whole_speed)},
      {"tokens", result.tokens},
      {"seconds_per_token", summary_json(result.between_tokens)},
      {"collective_seconds_per_step", result.collective_seconds},
      {"weight_bytes_per_token", result.weight_bytes_per_token},
      {"kv_bytes_per_token", result.kv_bytes_per_token},
      {"achieved_bytes_per_second", result.achieved_bandwidth()},
      {"read_bytes_per_second", result.read_bandwidth},
      {"bandwidth_share", per_second(result.achieved_bandwidth(), result.read_bandwidth)},
      {"per_rank", json::array()}};
  object.update(run_json(facts));
  if (has_experts(result.experts)) {
    object["experts"] = experts_json(result);
  }
  for (const RankFacts& rank : result.ranks) {
    object["per_rank"].push_back({{"threads", rank.threads},
                                  {"weight_bytes", rank.weights},
                                  {"kv_bytes", rank.kv},
                                  {"workspace_bytes", rank.workspace},
                                  {"peak_resident_bytes", rank.peak_rss}});
  }
  return object;
}

}  // namespace tutti
