#include "runtime/engine/sampler.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "kernels/error.hpp"
#include "kernels/sample.hpp"

namespace tutti {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr double kMost = 1e6;  // of penalties and biases: logits stay finite

double log_sum_exp(std::span<const float> logits) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) {
    sum += std::exp(logit - largest);
  }
  return largest + std::log(sum);
}

std::vector<TokenLogprob> likeliest(std::span<const float> logits, double norm, int count) {
  std::vector<TokenId> ids(logits.size());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    ids[i] = static_cast<TokenId>(i);
  }
  const auto wanted = std::min(static_cast<std::ptrdiff_t>(count), std::ssize(ids));
  std::partial_sort(ids.begin(), ids.begin() + wanted, ids.end(), [&](TokenId a, TokenId b) {
    const float x = logits[static_cast<std::size_t>(a)];
    const float y = logits[static_cast<std::size_t>(b)];
    return x != y ? x > y : a < b;
  });
  std::vector<TokenLogprob> top;
  for (auto id = ids.begin(); id != ids.begin() + wanted; ++id) {
    top.push_back({*id, static_cast<float>(logits[static_cast<std::size_t>(*id)] - norm)});
  }
  return top;
}

void penalise(std::span<float> logits, std::span<const TokenId> history, const Request& request) {
  const SamplingOptions& options = request.options;
  for (const auto& [id, tally] : tallies_of(history, request.prompt.size())) {
    float& logit = logits[static_cast<std::size_t>(id)];
    logit = penalised(logit, tally, static_cast<float>(options.repetition_penalty),
                      static_cast<float>(options.presence_penalty),
                      static_cast<float>(options.frequency_penalty));
  }
}

void apply_rules(std::span<float> logits, std::span<const TokenId> history,
                 const Request& request) {
  const SamplingOptions& options = request.options;
  for (const LogitBias& bias : options.logit_bias) {
    logits[static_cast<std::size_t>(bias.id)] += bias.bias;
  }
  if (penalises(options)) {
    penalise(logits, history, request);
  }
  if (std::ssize(history) - std::ssize(request.prompt) < options.min_tokens) {
    for (const TokenId id : request.ends) {
      logits[static_cast<std::size_t>(id)] -= kInfinity;
    }
  }
}

// Devices and `sample` take them as f32.
void check_range(const Request& request, const char* name, double value, double least,
                 double most) {
  const auto narrow = static_cast<float>(value);
  if (!(narrow >= static_cast<float>(least) && narrow <= static_cast<float>(most))) {
    throw ConfigError(fmt::format("request {}: {} is {}, wanted a number from {} to {}", request.id,
                                  name, value, least, most));
  }
}

void check_options(const Request& request) {
  const SamplingOptions& options = request.options;
  check_range(request, "temperature", options.temperature, 0, kMost);
  check_range(request, "top_k", options.top_k, 0, std::numeric_limits<int>::max());
  check_range(request, "top_p", options.top_p, 0, 1);
  check_range(request, "min_p", options.min_p, 0, 1);
  check_range(request, "repetition_penalty", options.repetition_penalty, 1 / kMost, kMost);
  check_range(request, "presence_penalty", options.presence_penalty, -kMost, kMost);
  check_range(request, "frequency_penalty", options.frequency_penalty, -kMost, kMost);
  check_range(request, "min_tokens", options.min_tokens, 0, std::numeric_limits<int>::max());
}

std::vector<LogitBias> added_up(const Request& request, std::int64_t vocabulary) {
  std::map<TokenId, float> sums;
  for (const LogitBias& bias : request.options.logit_bias) {
    if (bias.id < 0 || bias.id >= vocabulary) {
      throw ConfigError(fmt::format("request {}: logit_bias names token id {}, wanted 0 to {}",
                                    request.id, bias.id, vocabulary - 1));
    }
    float& sum = sums[bias.id];
    sum += bias.bias;
    if (!(sum <= kMost) || (sum < -kMost && sum != -kInfinity)) {
      throw ConfigError(fmt::format(
          "request {}: the logit_bias of token id {} is {}, wanted -infinity or a number from {} "
          "to {}",
          request.id, bias.id, sum, -kMost, kMost));
    }
  }
  std::vector<LogitBias> biases;
  for (const auto& [id, bias] : sums) {
    biases.push_back({id, bias});
  }
  return biases;
}

// A step that has nothing to draw from would end everybody's answers.
void check_something_is_left(const Request& request, std::int64_t vocabulary) {
  const SamplingOptions& options = request.options;
  std::set<TokenId> banned;
  for (const LogitBias& bias : options.logit_bias) {
    if (bias.bias == -kInfinity) {
      banned.insert(bias.id);
    }
  }
  if (options.min_tokens > 0) {
    banned.insert(request.ends.begin(), request.ends.end());
  }
  if (std::ssize(banned) >= vocabulary) {
    throw ConfigError(
        fmt::format("request {}: logit_bias and min_tokens ban all {} token ids, wanted at least "
                    "one that may be drawn",
                    request.id, vocabulary));
  }
}

}  // namespace

bool penalises(const SamplingOptions& options) {
  return static_cast<float>(options.repetition_penalty) != 1 ||
         static_cast<float>(options.presence_penalty) != 0 ||
         static_cast<float>(options.frequency_penalty) != 0;
}

Request checked_request(Request request, std::span<const TokenId> eos, std::int64_t vocabulary) {
  check_options(request);
  request.options.logit_bias = added_up(request, vocabulary);
  std::vector<TokenId> ends = request.options.stop_ids;
  if (!request.options.ignore_eos) {
    ends.insert(ends.end(), eos.begin(), eos.end());
  }
  std::erase_if(ends, [&](TokenId id) { return id < 0 || id >= vocabulary; });
  std::sort(ends.begin(), ends.end());
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
  request.ends = std::move(ends);
  check_something_is_left(request, vocabulary);
  return request;
}

std::unordered_map<TokenId, Tally> tallies_of(std::span<const TokenId> history,
                                              std::size_t prompt) {
  std::unordered_map<TokenId, Tally> tallies;
  for (std::size_t i = 0; i < history.size(); ++i) {
    if (history[i] < 0) {
      throw Error(
          fmt::format("token {} of a sequence is not known yet, penalties want all of them", i));
    }
    Tally& tally = tallies[history[i]];
    tally = i < prompt ? static_cast<Tally>(tally | kTallyPrompt) : counted_once_more(tally);
  }
  return tallies;
}

SampledToken sample_token(const Exec& exec, const TensorView& logits, const Request& request,
                          std::span<const TokenId> history) {
  const SamplingOptions& options = request.options;
  const std::span<float> row(static_cast<float*>(logits.data),
                             static_cast<std::size_t>(logits.elements()));
  SampledToken sampled;
  std::vector<float> own;  // the model's distribution, before the rules change the row
  if (options.logprobs) {
    own.assign(row.begin(), row.end());
  }
  apply_rules(row, history, request);
  sampled.id = sample(exec, logits,
                      {.temperature = static_cast<float>(options.temperature),
                       .top_k = options.top_k,
                       .top_p = static_cast<float>(options.top_p),
                       .min_p = static_cast<float>(options.min_p),
                       .seed = options.seed,
                       .request = request.stream,
                       .position = history.size()});
  if (options.logprobs) {
    const double norm = log_sum_exp(own);
    sampled.logprob = static_cast<float>(own[static_cast<std::size_t>(sampled.id)] - norm);
    sampled.top = likeliest(own, norm, *options.logprobs);
  }
  return sampled;
}

}  // namespace tutti
