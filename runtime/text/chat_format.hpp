// How a conversation becomes one prompt: the known formats as data, recognised from the template
// that the model file stores.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/text/tokenizer.hpp"

namespace tutti {

struct ChatMessage {
  std::string role;  // "system", "user", "assistant"
  std::string content;
};

class ChatFormat {
 public:
  // "chatml", "llama-2", "llama-3", "mistral", "gemma", "zephyr", "phi-3".
  static std::vector<std::string> names();
  // Errors: ConfigError that lists the names.
  static ChatFormat by_name(std::string_view name);
  // Recognises the format of the stored template ("chat_template" or inside
  // "tokenizer_config.json"), its default system prompt included. Errors: ConfigError that says how
  // to name one (--chat-format) when there is no template or it is not known.
  static ChatFormat detect(const TokenizerAssets& assets);

  const std::string& name() const { return name_; }
  // Ids of the whole prompt, bos included where the format has one, ending where the assistant is
  // to speak. Control tokens come from the format only: user text is encoded as_text.
  // Errors: ConfigError where roles do not fit the format (two users in a row for llama-2, …).
  std::vector<TokenId> encode(const Tokenizer& tokenizer,
                              std::span<const ChatMessage> messages) const;
  // Ids that end an answer in this format, besides the tokenizer's own.
  std::vector<TokenId> stop_ids(const Tokenizer& tokenizer) const;

 private:
  std::string name_;
  std::string default_system_;
};

}  // namespace tutti
