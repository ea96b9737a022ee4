// A request on its way: its tokens so far and its text.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/engine/answer_text.hpp"
#include "runtime/engine/request.hpp"

namespace tutti {

struct Sequence {
  Request request;
  std::vector<TokenId> tokens;  // prompt, then answer
  AnswerText text;
  int max_new_tokens = 0;  // options.max_tokens, cut to what the context leaves
  bool cancelled = false;
  std::int32_t slot = -1;  // among the sequences that run (StepSampler)

  int new_tokens() const {
    return static_cast<int>(tokens.size()) - static_cast<int>(request.prompt.size());
  }
};

}  // namespace tutti
