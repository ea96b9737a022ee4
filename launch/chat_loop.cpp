#include "launch/chat_loop.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "kernels/error.hpp"
#include "launch/line_input.hpp"
#include "launch/output.hpp"
#include "launch/terminal.hpp"

namespace tutti {
namespace {

// Greeting and prompt, on the stream of the answers where both are seen: mpirun forwards two
// streams in any order. Where answers go to a file, the person is prompted on standard error.
void prompt(const std::string& text) {
  if (person_looks_on(look_at_stream(STDOUT_FILENO))) {
    write_result(text);
  } else {
    write_message(text);
  }
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
        prompt("> ");
      }
      const LineInput::Outcome outcome = input.next(line);
      if (outcome != LineInput::Outcome::line) {
        if (person) {
          prompt("\n");
        }
        return;
      }
      if (line.find_first_not_of(" \t") == std::string::npos) {
        continue;
      }
      if (const auto ids = prompt_of(line)) {
        answer(*ids, input);
      }
    }
  }

 private:
  // Nothing where the line cannot be answered, which it then says: the chat goes on.
  std::optional<std::vector<TokenId>> prompt_of(const std::string& line) {
    try {
      return encode(line);
    } catch (const ConfigError& error) {
      write_message(fmt::format("tutti: {}\n", error.what()));
      return std::nullopt;
    }
  }

  std::vector<TokenId> encode(const std::string& line) {
    if (!encoder_.chat()) {
      std::vector<TokenId> ids = encoder_.encode(line);
      require_room("this line", ids.size(), options_.context);
      return ids;
    }
    const std::int64_t reserve =
        std::min<std::int64_t>(options_.sampling.max_tokens, options_.context / 2);
    const Conversation::Turn turn = conversation_.ask(line, options_.context, reserve);
    if (turn.dropped > 0) {
      write_message(fmt::format(
          "tutti: the context of {} tokens is full: the oldest {} dropped\n", options_.context,
          turn.dropped == 1 ? "question and its answer were"
                            : fmt::format("{} questions and answers were", turn.dropped)));
    }
    return turn.prompt;
  }

  void answer(const std::vector<TokenId>& ids, LineInput& input) {
    Request request{.id = turns_, .stream = turns_, .prompt = ids, .options = options_.sampling};
    ++turns_;
    if (!request.options.ignore_eos) {
      request.options.stop_ids = encoder_.stop_ids();
    }
    request.options.max_tokens = static_cast<int>(
        std::min<std::int64_t>(request.options.max_tokens, options_.context - std::ssize(ids)));
    engine_.submit(request);
    writer_.expect({ids}, request.id);
    while (!engine_.idle()) {
      if (input.interrupted()) {
        engine_.cancel(request.id);
      }
      engine_.step([this](const TokenEvent& event) { writer_.hear(event); });
    }
    const Answer& given = writer_.answers().front();
    if (given.finish == FinishReason::cancelled) {
      write_message("tutti: stopped\n");
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
    prompt("Ctrl-C stops an answer, Ctrl-D leaves.\n");
  }
  ChatLoop(engine, encoder, writer, options).run(input, person);
}

}  // namespace tutti
