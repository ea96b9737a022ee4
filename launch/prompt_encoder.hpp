// From what a user wrote to the ids that the model gets: plain text or a conversation.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/text/chat_format.hpp"

namespace tutti {

class PromptEncoder {
 public:
  // Plain text. Borrows the tokenizer.
  explicit PromptEncoder(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}
  // Conversations; `system` empty: what the format says by itself.
  PromptEncoder(const Tokenizer& tokenizer, ChatFormat format, std::string system)
      : tokenizer_(tokenizer), format_(std::move(format)), system_(std::move(system)) {}

  bool chat() const { return format_.has_value(); }
  std::vector<TokenId> stop_ids() const;
  // One prompt by itself. Errors: ConfigError where it is empty.
  std::vector<TokenId> encode(const std::string& prompt) const;
  // A conversation; the system's words are put before it.
  std::vector<TokenId> encode(std::span<const ChatMessage> messages) const;

 private:
  const Tokenizer& tokenizer_;
  std::optional<ChatFormat> format_;
  std::string system_;
};

// What both have said, cut at its beginning where it grows longer than the context.
class Conversation {
 public:
  using Encode = std::function<std::vector<TokenId>(std::span<const ChatMessage>)>;

  struct Turn {
    std::vector<TokenId> prompt;
    int dropped = 0;  // older questions, with their answers, that no longer fitted
  };

  explicit Conversation(Encode encode) : encode_(std::move(encode)) {}

  // Adds what the user says. Keeps as many of the latest turns as leave `reserve` tokens of
  // `context` for the answer. Errors: ConfigError where the message alone leaves no room; it is
  // then forgotten, the rest is kept.
  Turn ask(const std::string& message, std::int64_t context, std::int64_t reserve);
  // Adds what the model said to the last question.
  void answer(const std::string& text);

 private:
  Encode encode_;
  std::vector<ChatMessage> messages_;
};

// Errors: ConfigError that names the prompt ("prompt 2"), its tokens and the room there is.
void require_room(const std::string& what, std::size_t tokens, std::int64_t context);

}  // namespace tutti
