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

struct ChatSpec;  // runtime/text/chat_specs.hpp

// A stretch of the rendered prompt. A parsed one is a single control token of the format; text is
// what the user or the format wrote in plain characters, and never becomes a control token.
struct ChatSegment {
  std::string text;
  SpecialTokens special = SpecialTokens::as_text;
};

class ChatFormat {
 public:
  // "chatml", "llama-2", "llama-3", "mistral", "gemma", "zephyr", "phi-3".
  static std::vector<std::string> names();
  // Errors: ConfigError that lists the names.
  static ChatFormat by_name(std::string_view name);
  // Recognises the format of the stored template ("chat_template", or inside
  // "tokenizer_config.json" or "gguf.json"), its default system prompt included. Only templates
  // that are known to render as the format's data does are taken; differences in spelling do not
  // matter (runtime/text/jinja_canonical.hpp). Errors: ConfigError that says how to name one
  // (--chat-format) when there is no template or it is not known.
  static ChatFormat detect(const TokenizerAssets& assets);

  const std::string& name() const { return name_; }
  // The system prompt that stands where the conversation brings none; empty where there is none.
  const std::string& default_system() const { return default_system_; }
  // The prompt as text, in segments: joined, they are what the model's own template renders with
  // add_generation_prompt. `bos` and `eos` are the model's spellings; empty where it has none.
  // The last message must be the user's. Errors: as encode().
  std::vector<ChatSegment> render(std::span<const ChatMessage> messages, std::string_view bos,
                                  std::string_view eos) const;
  // Ids of the whole prompt, bos included where the format has one, ending where the assistant is
  // to speak. Control tokens come from the format only: user text is encoded as_text. A prompt
  // without look-alikes of control tokens is encoded in one go, as the reference does; otherwise
  // the stretches that hold them are encoded by themselves.
  // Errors: ConfigError where roles do not fit the format (two users in a row for llama-2, a system
  // prompt for gemma 2, …), or where the vocabulary lacks the format's control tokens.
  std::vector<TokenId> encode(const Tokenizer& tokenizer,
                              std::span<const ChatMessage> messages) const;
  // Ids that end an answer in this format, besides the tokenizer's own.
  std::vector<TokenId> stop_ids(const Tokenizer& tokenizer) const;

 private:
  ChatFormat(const ChatSpec& spec, std::string default_system);

  const ChatSpec* spec_;  // a row of chat_specs(), lives as long as the program
  std::string name_;
  std::string default_system_;
};

}  // namespace tutti
