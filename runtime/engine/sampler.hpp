// From a row of logits to the next token of a request, with what the user wants to know about it.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "kernels/exec.hpp"
#include "runtime/engine/request.hpp"

namespace tutti {

struct SampledToken {
  TokenId id = 0;
  std::optional<float> logprob;
  std::vector<TokenLogprob> top;  // the likeliest first, equal ones by id
};

// logits [vocabulary] f32, changed by the penalties. `history` is the prompt and the answer so far;
// its length is the position of the draw, so that the token is a pure function of (logits, options,
// request, history).
SampledToken sample_token(const Exec& exec, const TensorView& logits, const Request& request,
                          std::span<const TokenId> history);

}  // namespace tutti
