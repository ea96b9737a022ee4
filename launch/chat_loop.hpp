// Question and answer, line by line, until the person leaves.
#pragma once

#include "launch/answer_writer.hpp"
#include "launch/prompt_encoder.hpp"
#include "runtime/engine/engine.hpp"

namespace tutti {

struct ChatLoopOptions {
  SamplingOptions sampling;
  std::int64_t context = 0;  // tokens
  bool greet = true;         // say which keys do what
};

// Rank 0 only. Reads standard input, answers by `writer`, prompts and notes on standard error.
// A question that cannot be answered is refused with a note and the chat goes on.
void run_chat_loop(Engine& engine, const PromptEncoder& encoder, AnswerWriter& writer,
                   const ChatLoopOptions& options);

}  // namespace tutti
