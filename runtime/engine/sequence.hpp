// A request on its way: its tokens so far and its text.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/engine/answer_text.hpp"
#include "runtime/engine/request.hpp"

namespace tutti {

constexpr TokenId kUnheard = -1;

struct Sequence {
  Request request;
  std::vector<TokenId> tokens;  // prompt, then answer; what is still on the device is kUnheard
  AnswerText text;
  int max_new_tokens = 0;    // options.max_tokens, cut to what the context leaves
  int heard = 0;             // tokens of the answer that have come from the device
  std::uint64_t serial = 0;  // tells it from later requests of the same id
  bool cancelled = false;
  std::int32_t slot = -1;  // among the sequences that run (StepSampler)

  // Those on their way included.
  int new_tokens() const {
    return static_cast<int>(tokens.size()) - static_cast<int>(request.prompt.size());
  }
};

}  // namespace tutti
