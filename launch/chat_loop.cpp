#include "launch/chat_loop.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "kernels/error.hpp"
#include "launch/line_input.hpp"
#include "launch/terminal.hpp"

namespace tutti {
namespace {

void say(const std::string& text) {
  fmt::print(stderr, "{}", text);
  std::fflush(stderr);
}

class ChatLoop {
 public:
  ChatLoop(Engine& engine, const PromptEncoder& encoder, AnswerWriter& writer,
           const ChatLoopOptions& options)
      : engine_(engine),
        encoder_(encoder),
        writer_(writer),
        options_(options),
        conversation_([&encoder](std::span<const ChatMessage> m) { return encoder.encode(m); }) {}

  void run(LineInput& input, bool person) {
    std::string line;
    while (true) {
      if (person) {
        say("> ");
      }
      const LineInput::Outcome outcome = input.next(line);
      if (outcome != LineInput::Outcome::line) {
        if (person) {
          say("\n");
        }
        return;
      }
      if (line.find_first_not_of(" \t") == std::string::npos) {
        continue;
      }
      try {
        const std::vector<TokenId> prompt = prompt_of(line);
        answer(prompt, input);
      } catch (const ConfigError& error) {
        say(fmt::format("tutti: {}\n", error.what()));
      }
    }
  }

 private:
  std::vector<TokenId> prompt_of(const std::string& line) {
    if (!encoder_.chat()) {
      std::vector<TokenId> prompt = encoder_.encode(line);
      require_room("this line", prompt.size(), options_.context);
      return prompt;
    }
    const std::int64_t reserve =
        std::min<std::int64_t>(options_.sampling.max_tokens, options_.context / 2);
    const Conversation::Turn turn = conversation_.ask(line, options_.context, reserve);
    if (turn.dropped > 0) {
      say(fmt::format(
          "tutti: the context of {} tokens is full: the oldest {} dropped\n", options_.context,
          turn.dropped == 1 ? "question and its answer were"
                            : fmt::format("{} questions and answers were", turn.dropped)));
    }
    return turn.prompt;
  }

  void answer(const std::vector<TokenId>& prompt, LineInput& input) {
    Request request{.id = turns_++, .prompt = prompt, .options = options_.sampling};
    if (!request.options.ignore_eos) {
      request.options.stop_ids = encoder_.stop_ids();
    }
    request.options.max_tokens = static_cast<int>(
        std::min<std::int64_t>(request.options.max_tokens, options_.context - std::ssize(prompt)));
    engine_.submit(request);
    writer_.expect({prompt}, request.id);
    while (!engine_.idle()) {
      if (input.interrupted()) {
        engine_.cancel(request.id);
      }
      engine_.step([this](const TokenEvent& event) { writer_.hear(event); });
    }
    const Answer& given = writer_.answers().front();
    if (given.finish == FinishReason::cancelled) {
      say("tutti: stopped\n");
    }
    if (encoder_.chat()) {
      conversation_.answer(given.text);
    }
  }

  Engine& engine_;
  const PromptEncoder& encoder_;
  AnswerWriter& writer_;
  const ChatLoopOptions& options_;
  Conversation conversation_;
  std::uint64_t turns_ = 0;
};

}  // namespace

void run_chat_loop(Engine& engine, const PromptEncoder& encoder, AnswerWriter& writer,
                   const ChatLoopOptions& options) {
  const bool person = person_looks_on(look_at_stream(STDIN_FILENO));
  const InterruptFlag flag;
  const InterruptKey key(isatty(STDIN_FILENO) == 1 ? std::string() : launcher_terminal());
  LineInput input(STDIN_FILENO);
  if (person && options.greet) {
    say("Ctrl-C stops an answer, Ctrl-D leaves.\n");
  }
  ChatLoop(engine, encoder, writer, options).run(input, person);
}

}  // namespace tutti
