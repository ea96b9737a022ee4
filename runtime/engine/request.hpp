// What a user asks of the engine, and what comes back token by token.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/text/tokenizer.hpp"

namespace tutti {

// Added to the logit of an id before everything else (OpenAI's logit_bias).
struct LogitBias {
  TokenId id = 0;
  float bias = 0;  // -infinity bans the id
  friend bool operator==(const LogitBias&, const LogitBias&) = default;
};

// Applied in this order: logit_bias, repetition penalty, presence and frequency penalty, bans by
// min_tokens, temperature, top-k, top-p, min-p, draw.
struct SamplingOptions {
  double temperature = 0;  // 0: greedy
  int top_k = 0;           // 0: all
  double top_p = 1;
  double min_p = 0;
  double repetition_penalty = 1;  // Keskar et al. 2019, eq. 4.1, over prompt and answer
  double presence_penalty = 0;    // OpenAI's: taken from the logits of ids that stand in the answer
  double frequency_penalty = 0;   // the same, times how often the id stands there
  std::vector<LogitBias> logit_bias;
  std::uint64_t seed = 0;
  int max_tokens = 128;
  int min_tokens = 0;  // no end of sequence and no stop id before so many
  bool ignore_eos = false;
  std::vector<TokenId> stop_ids;  // besides the tokenizer's own ends
  std::vector<std::string> stop;  // the answer ends before the first of these
  std::optional<int> logprobs;    // alternatives to report for each token, besides the chosen one
};

struct Request {
  std::uint64_t id = 0;      // names it among those that the engine holds
  std::uint64_t stream = 0;  // of random draws: equal seeds, streams and prompts, equal answers
  std::vector<TokenId> prompt;
  SamplingOptions options;
  std::vector<TokenId> ends;  // which ids min_tokens bans; the engine fills it in (checked_request)
};

enum class FinishReason : std::uint8_t { stop, length, cancelled };

constexpr std::string_view name_of(FinishReason reason) {
  switch (reason) {
    case FinishReason::stop:
      return "stop";
    case FinishReason::length:
      return "length";
    case FinishReason::cancelled:
      return "cancelled";
  }
  return "?";
}

struct TokenLogprob {
  TokenId id = 0;
  float logprob =
      0;  // natural logarithm, of the model's own distribution (before any sampling rule)
};

// One sampled token. The token that ended an answer is reported too; its text is not.
struct TokenEvent {
  std::uint64_t request = 0;
  TokenId token = -1;  // -1: none, the request was cancelled
  std::string text;    // characters that became complete with it, stop strings withheld
  std::optional<float> logprob;
  std::vector<TokenLogprob> top;  // logprobs of them, the likeliest first
  std::optional<FinishReason> finish;
};

}  // namespace tutti
