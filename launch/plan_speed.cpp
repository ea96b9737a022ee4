#include "launch/plan_speed.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <vector>

#include "launch/options.hpp"
#include "launch/suggest.hpp"

namespace tutti {
namespace {

using C = SpeedConstants;
constexpr const char* kKind = "launch/gpus.json";
constexpr const char* kDecode = "fitted: decode of 7B and 70B, 1 to 256 requests";
constexpr const char* kSweep = "measured: gemm_cuda_bench sweep, H100";
constexpr const char* kSums = "measured: collectives_cuda_bench, two H200";
constexpr const char* kMany = "fitted: decode of 7B and 70B, three and four H200";
constexpr const char* kGuess = "assumed: not measured yet";

constexpr std::array<SpeedConstantInfo, 21> kConstants{{
    {"read_gbs", &C::read_gbs, "GB/s", "reading device memory", kKind},
    {"tflops", &C::tflops, "TFLOP/s", "the library's products, 512 tokens or more", kKind},
    {"link_gbs", &C::link_gbs, "GB/s", "bus bandwidth of a long all-reduce in a node", kKind},
    {"nccl_us", &C::nccl_us, "us", "start of NCCL's all-reduce in a node", kSums},
    {"network_gbs", &C::network_gbs, "GB/s", "the same between nodes", kGuess},
    {"network_us", &C::network_us, "us", "start of an all-reduce between nodes", kGuess},
    {"few_tokens_share", &C::few_tokens_share, "", "of reading, products of 1-8 tokens", kSweep},
    {"some_tokens_share", &C::some_tokens_share, "", "the same, 9-16 tokens", kSweep},
    {"many_tokens_share", &C::many_tokens_share, "", "the same, more tokens", kDecode},
    {"attention_share", &C::attention_share, "", "of reading, keys and values", kDecode},
    {"attention_gbs", &C::attention_gbs, "GB/s", "keys and values at the most", kDecode},
    {"attention_flop_share", &C::attention_flop_share, "", "of tflops, attention of prompts",
     "fitted: a prompt of 4096 tokens, 7B"},
    {"layer_us", &C::layer_us, "us", "between the products of a layer", kDecode},
    {"experts_us", &C::experts_us, "us", "the same, beside that, of a mixture of experts",
     "fitted: decode of Qwen3-30B-A3B, H100"},
    {"step_us", &C::step_us, "us", "a step beside its layers: sampling", kDecode},
    {"first_token_us", &C::first_token_us, "us", "a prompt beside its steps",
     "fitted: first token of 7B, 128 tokens"},
    {"sum_us", &C::sum_us, "us", "own all-reduce with norm: its start", kSums},
    {"sum_us_per_1024", &C::sum_us_per_1024, "us", "the same, each 1024 columns", kSums},
    {"sum_us_per_token", &C::sum_us_per_token, "us", "the same, each token beyond the first",
     kSums},
    {"sum_us_per_rank", &C::sum_us_per_rank, "us", "the same, each rank beyond two", kMany},
    {"many_sum_us_per_1024", &C::many_sum_us_per_1024, "us",
     "the same, each 1024 columns, of more than two ranks", kMany},
}};

constexpr std::int64_t kFewTokens = 8;
constexpr std::int64_t kSomeTokens = 16;  // own products and own sums up to here
constexpr double kUs = 1e-6;
constexpr double kGb = 1e9;

// What one rank multiplies with, parameters.
struct Matrices {
  double layers = 0;   // but for experts
  double experts = 0;  // in all layers
  double head = 0;
};

Matrices matrices_of(const DecoderSpec& spec, const RankShare& share) {
  const std::int64_t tables = spec.tied_head ? 1 : 2;
  const std::int64_t table = share.vocabulary.size() * spec.hidden;
  const std::int64_t positions = share.positions.size() * spec.hidden;
  const std::int64_t experts =
      3 * spec.layers * share.experts.size() * share.ffn.size() * spec.hidden;
  return {.layers = static_cast<double>(share.parameters - share.vectors - positions -
                                        tables * table - experts),
          .experts = static_cast<double>(experts),
          .head = static_cast<double>(table)};
}

// `computed` parameters are multiplied with each token, `read` once for all of them.
double product_seconds(const SpeedCase& wanted, double read_parameters, double computed_parameters,
                       std::int64_t tokens) {
  const C& c = wanted.constants;
  const double read = read_parameters * wanted.matrix_bytes_each / (c.read_gbs * kGb);
  if (tokens <= kFewTokens) {
    return read / c.few_tokens_share;
  }
  if (tokens <= kSomeTokens) {
    return read / c.some_tokens_share;
  }
  const double computed = 2 * computed_parameters * static_cast<double>(tokens) / (c.tflops * 1e12);
  return std::hypot(read / c.many_tokens_share, computed);
}

// Of all layers and, where it is wanted, the head. The router is taken to like all experts alike.
double step_products(const SpeedCase& wanted, const RankShare& share, std::int64_t tokens,
                     bool head) {
  const DecoderSpec& spec = wanted.spec;
  const Matrices own = matrices_of(spec, share);
  const double all = own.layers + (head ? own.head : 0);
  if (spec.experts == 0) {
    return product_seconds(wanted, all, all, tokens);
  }
  const auto experts = static_cast<double>(spec.experts);
  const double read = spec.experts_read(static_cast<double>(tokens)) / experts;
  const double used = static_cast<double>(spec.experts_per_token) / experts;
  return product_seconds(wanted, all + read * own.experts, all + used * own.experts, tokens);
}

// Two norms with the residual stream in f32 (read, written, added, normed), rope, and the gate
// where it is not part of its product.
double small_seconds(const SpeedCase& wanted, const RankShare& share, std::int64_t tokens) {
  const DecoderSpec& spec = wanted.spec;
  const double each = wanted.activation_bytes_each;
  const auto heads = static_cast<double>(share.q_heads.size() + 2 * share.kv_heads.size());
  double bytes = 2 * (8 + 2 * each) * static_cast<double>(spec.hidden);
  bytes += 2 * each * heads * static_cast<double>(spec.head_dim);
  if (tokens > kSomeTokens) {
    const auto times = static_cast<double>(std::max<std::int64_t>(spec.experts_per_token, 1));
    bytes += 3 * each * times * static_cast<double>(share.ffn.size());
  }
  return bytes * static_cast<double>(spec.layers * tokens) / (wanted.constants.read_gbs * kGb);
}

double kv_bytes_of_token(const SpeedCase& wanted, const RankShare& share) {
  return 2 * static_cast<double>(share.layers.size() * share.kv_heads.size()) *
         static_cast<double>(wanted.spec.head_dim) * wanted.kv_bytes_each;
}

double cache_seconds(const SpeedCase& wanted, const RankShare& share) {
  const C& c = wanted.constants;
  const double context =
      static_cast<double>(wanted.prompt_tokens) + static_cast<double>(wanted.new_tokens) / 2;
  return static_cast<double>(wanted.batch) * context * kv_bytes_of_token(wanted, share) /
         (std::min(c.read_gbs * c.attention_share, c.attention_gbs) * kGb);
}

double all_sums_seconds(const SpeedCase& wanted, int ranks, Link link, std::int64_t tokens) {
  if (ranks == 1) {
    return 0;
  }
  const C& c = wanted.constants;
  const double gather = link == Link::network ? c.network_us : c.nccl_us;
  return static_cast<double>(wanted.spec.sums() + 1) * sum_seconds(wanted, ranks, link, tokens) +
         gather * kUs;
}

double starts_seconds(const SpeedCase& wanted) {
  const C& c = wanted.constants;
  const double layer = c.layer_us + (wanted.spec.experts > 0 ? c.experts_us : 0.0);
  return (static_cast<double>(wanted.spec.layers) * layer + c.step_us) * kUs;
}

// Attention of prompt tokens among themselves.
double prompt_attention_seconds(const SpeedCase& wanted, const RankShare& share) {
  const C& c = wanted.constants;
  const double each = 4 * static_cast<double>(share.q_heads.size() * share.layers.size()) *
                      static_cast<double>(wanted.spec.head_dim);
  const auto prompt = static_cast<double>(wanted.prompt_tokens);
  return static_cast<double>(wanted.batch) * prompt * prompt / 2 * each /
         (c.attention_flop_share * c.tflops * 1e12);
}

// Of the rank that takes longest; ranks wait for each other at every sum.
template <typename Seconds>
StepTime slowest(const ShardPlan& plan, const Seconds& seconds) {
  StepTime most;
  for (int rank = 0; rank < plan.ranks(); ++rank) {
    const StepTime own = seconds(plan.share(rank));
    most = own.total() > most.total() ? own : most;
  }
  return most;
}

StepTime prompt_step(const SpeedCase& wanted, const ShardPlan& plan, std::int64_t tokens) {
  StepTime most = slowest(plan, [&](const RankShare& share) {
    return StepTime{.products = step_products(wanted, share, tokens, false),
                    .small = small_seconds(wanted, share, tokens)};
  });
  most.starts = starts_seconds(wanted);
  return most;
}

}  // namespace

std::span<const SpeedConstantInfo> speed_constants() {
  return kConstants;
}

void set_speed_constant(SpeedConstants& constants, const std::string& assignment) {
  const std::size_t equals = assignment.find('=');
  const std::string name = assignment.substr(0, equals);
  std::vector<std::string> known;
  for (const SpeedConstantInfo& info : kConstants) {
    known.emplace_back(info.name);
  }
  const auto found = std::find(known.begin(), known.end(), name);
  if (found == known.end()) {
    const std::string meant = nearest(name, known);
    throw UsageError(fmt::format("--set: '{}' is no constant of the prediction{}: known are {}",
                                 name, meant.empty() ? "" : ", did you mean '" + meant + "'?",
                                 fmt::join(known, ", ")));
  }
  const bool share = name.ends_with("_share");
  const std::string text = equals == std::string::npos ? "" : assignment.substr(equals + 1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool in_range = value >= 0 && value <= (share ? 1 : 1e9) && !(share && value == 0);
  if (error != std::errc() || end != text.data() + text.size() || !in_range) {
    throw UsageError(fmt::format("--set {} wants {}, found '{}'", name,
                                 share ? "a share above 0, at most 1" : "a number from 0 to 1e9",
                                 text));
  }
  constants.*kConstants[static_cast<std::size_t>(found - known.begin())].member = value;
}

double sum_seconds(const SpeedCase& wanted, int ranks, Link link, std::int64_t tokens) {
  const C& c = wanted.constants;
  if (ranks == 1) {
    return 0;
  }
  const auto hidden = static_cast<double>(wanted.spec.hidden);
  if (link == Link::nvlink && tokens <= kSomeTokens) {
    const double column = c.sum_us_per_1024 + (ranks > 2 ? c.many_sum_us_per_1024 : 0.0);
    return kUs *
           (c.sum_us + column * hidden / 1024 +
            c.sum_us_per_token * static_cast<double>(tokens - 1) + c.sum_us_per_rank * (ranks - 2));
  }
  const double bytes = static_cast<double>(tokens) * hidden * wanted.activation_bytes_each;
  const double travelled = 2.0 * (ranks - 1) / ranks * bytes;
  return link == Link::network ? c.network_us * kUs + travelled / (c.network_gbs * kGb)
                               : c.nccl_us * kUs + travelled / (c.link_gbs * kGb);
}

StepTime decode_step(const SpeedCase& wanted, const ShardPlan& plan, Link link) {
  StepTime step = slowest(plan, [&](const RankShare& share) {
    return StepTime{.products = step_products(wanted, share, wanted.batch, true),
                    .cache = cache_seconds(wanted, share),
                    .small = small_seconds(wanted, share, wanted.batch)};
  });
  step.starts = starts_seconds(wanted);
  step.sums = all_sums_seconds(wanted, plan.ranks(), link, wanted.batch);
  return step;
}

SpeedPrediction predict(const SpeedCase& wanted, const ShardPlan& plan, Link link) {
  const auto batch = static_cast<double>(wanted.batch);
  const std::int64_t prompts = wanted.batch * wanted.prompt_tokens;
  const std::int64_t tokens = std::min(prompts, wanted.step_tokens);
  const double steps = static_cast<double>(prompts) / static_cast<double>(tokens);
  StepTime one = prompt_step(wanted, plan, tokens);
  one.sums = all_sums_seconds(wanted, plan.ranks(), link, tokens);
  double attention = 0;
  double head = 0;
  for (int rank = 0; rank < plan.ranks(); ++rank) {
    const RankShare& share = plan.share(rank);
    attention = std::max(attention, prompt_attention_seconds(wanted, share));
    const double own = matrices_of(wanted.spec, share).head;
    head = std::max(
        head, product_seconds(wanted, own, own, std::min<std::int64_t>(wanted.batch, kSomeTokens)));
  }
  SpeedPrediction result{.step = decode_step(wanted, plan, link)};
  result.prompt_seconds =
      steps * one.total() + attention + head + wanted.constants.first_token_us * kUs;
  const auto answer = static_cast<double>(wanted.new_tokens);
  result.decode_per_second = batch / result.step.total();
  result.whole_per_second =
      batch * answer / (result.prompt_seconds + (answer - 1) * result.step.total());
  return result;
}

}  // namespace tutti
