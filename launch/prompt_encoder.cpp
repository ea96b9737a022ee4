#include "launch/prompt_encoder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "kernels/error.hpp"

namespace tutti {

void require_room(const std::string& what, std::size_t tokens, std::int64_t context) {
  if (static_cast<std::int64_t>(tokens) >= context) {
    throw ConfigError(fmt::format(
        "{} has {} tokens, wanted at most {}: the context is {} tokens and the answer needs at "
        "least one; shorten it or raise --context where the model allows",
        what, tokens, context - 1, context));
  }
}

std::vector<TokenId> PromptEncoder::stop_ids() const {
  return format_ ? format_->stop_ids(tokenizer_) : std::vector<TokenId>();
}

std::vector<TokenId> PromptEncoder::encode(const std::string& prompt) const {
  if (prompt.empty()) {
    throw ConfigError(
        "the prompt is empty: wanted some text by --prompt, --prompt-file or standard input");
  }
  if (chat()) {
    const ChatMessage message{.role = "user", .content = prompt};
    return encode(std::span(&message, 1));
  }
  std::vector<TokenId> ids;
  if (tokenizer_.special().add_bos && tokenizer_.special().bos) {
    ids.push_back(*tokenizer_.special().bos);
  }
  const std::vector<TokenId> text = tokenizer_.encode(prompt, SpecialTokens::as_text);
  ids.insert(ids.end(), text.begin(), text.end());
  return ids;
}

std::vector<TokenId> PromptEncoder::encode(std::span<const ChatMessage> messages) const {
  std::vector<ChatMessage> all;
  if (!system_.empty()) {
    all.push_back({.role = "system", .content = system_});
  }
  all.insert(all.end(), messages.begin(), messages.end());
  return format_->encode(tokenizer_, all);
}

Conversation::Turn Conversation::ask(const std::string& message, std::int64_t context,
                                     std::int64_t reserve) {
  std::vector<ChatMessage> kept = messages_;
  kept.push_back({.role = "user", .content = message});
  Turn turn;
  while (true) {
    turn.prompt = encode_(kept);
    const bool alone = kept.size() < 3;
    const std::int64_t room = context - (alone ? 1 : std::max<std::int64_t>(reserve, 1));
    if (static_cast<std::int64_t>(turn.prompt.size()) <= room) {
      messages_ = std::move(kept);
      return turn;
    }
    if (alone) {
      require_room("this message", turn.prompt.size(), context);
    }
    kept.erase(kept.begin(), kept.begin() + 2);
    ++turn.dropped;
  }
}

void Conversation::answer(const std::string& text) {
  messages_.push_back({.role = "assistant", .content = text});
}

}  // namespace tutti
