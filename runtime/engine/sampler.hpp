// From a row of logits to the next token of a request, with what the user wants to know about it.
#pragma once

#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "kernels/exec.hpp"
#include "kernels/sample_penalty.hpp"
#include "runtime/engine/request.hpp"

namespace tutti {

struct SampledToken {
  TokenId id = 0;
  std::optional<float> logprob;
  std::vector<TokenLogprob> top;  // the likeliest first, equal ones by id
};

// The request as the engine keeps it: `ends` are `eos` (unless ignore_eos) and its stop ids, biases
// of the same id are added up. Errors: ConfigError for options that cannot be; names the request.
Request checked_request(Request request, std::span<const TokenId> eos, std::int64_t vocabulary);

// Whether what a sequence has seen matters.
bool penalises(const SamplingOptions& options);

// Of the ids in `history`, whose first `prompt` tokens are the prompt. Errors: Error where a token
// is not known.
std::unordered_map<TokenId, Tally> tallies_of(std::span<const TokenId> history, std::size_t prompt);

// logits [vocabulary] f32, changed by the rules. `history` is the prompt and the answer so far; its
// length is the position of the draw, so that the token is a pure function of (logits, options,
// request, history). A device's rows get the same bits (sample_rows).
SampledToken sample_token(const Exec& exec, const TensorView& logits, const Request& request,
                          std::span<const TokenId> history);

}  // namespace tutti
