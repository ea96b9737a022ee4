#include "runtime/engine/sampler.hpp"

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "kernels/sample.hpp"

namespace tutti {
namespace {

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

void penalise_repetition(std::span<float> logits, std::span<const TokenId> history,
                         double penalty) {
  const std::unordered_set<TokenId> seen(history.begin(), history.end());
  for (const TokenId id : seen) {
    float& logit = logits[static_cast<std::size_t>(id)];
    logit = static_cast<float>(logit > 0 ? logit / penalty : logit * penalty);
  }
}

}  // namespace

SampledToken sample_token(const Exec& exec, const TensorView& logits, const Request& request,
                          std::span<const TokenId> history) {
  const SamplingOptions& options = request.options;
  const std::span<float> row(static_cast<float*>(logits.data),
                             static_cast<std::size_t>(logits.elements()));
  SampledToken sampled;
  std::vector<float> own;  // the model's distribution, before the penalties change the row
  if (options.logprobs) {
    own.assign(row.begin(), row.end());
  }
  if (options.repetition_penalty != 1) {
    penalise_repetition(row, history, options.repetition_penalty);
  }
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
