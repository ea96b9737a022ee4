// How a conversation becomes one prompt: by the template that the model file stores, or by one of
// the formats that are known by name.
#pragma once

#include <ctime>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/text/tokenizer.hpp"

namespace tutti {

struct ChatMessage {
  std::string role;  // "system", "user", "assistant", "tool"
  std::string content;
  // What else a template may ask for ("tool_calls", "name", …), as a JSON object; empty: nothing.
  // Its "content", where it has one, stands for the above.
  std::string more;
};

struct ChatSpec;     // runtime/text/chat_specs.hpp
class ChatTemplate;  // runtime/text/chat_template.hpp
// The local time, which some templates write into the prompt.
using ChatClock = std::function<std::tm()>;

// A stretch of the rendered prompt. A parsed one is the template's or the format's own, and holds
// its control tokens; text never becomes a control token.
struct ChatSegment {
  std::string text;
  SpecialTokens special = SpecialTokens::as_text;
  bool operator==(const ChatSegment&) const = default;
};

class ChatFormat {
 public:
  // "chatml", "llama-2", "llama-3", "mistral", "gemma", "zephyr", "phi-3".
  static std::vector<std::string> names();
  // Errors: ConfigError that lists the names.
  static ChatFormat by_name(std::string_view name);
  // The stored template ("chat_template", or inside "tokenizer_config.json" or "gguf.json").
  // Errors: ConfigError where there is none, ModelFileError (with the template's line) where it is
  // not understood; both say how to name a format instead (--chat-format).
  static ChatFormat detect(const TokenizerAssets& assets);
  static ChatFormat detect(const TokenizerAssets& assets, ChatClock now);

  // For people: a format's name, or that it is the model's template.
  const std::string& name() const { return name_; }
  // Differs where prompts would: a format's name, or a digest of the template.
  std::string identity() const;

  // The prompt as text, in segments: joined, they are what the model's own template renders with
  // add_generation_prompt. `bos` and `eos` are the model's spellings; empty where it has none.
  // `tools`: a JSON list, empty for none. The last message must be the user's or a tool's.
  // Errors: as encode().
  std::vector<ChatSegment> render(std::span<const ChatMessage> messages, std::string_view bos,
                                  std::string_view eos, std::string_view tools = {}) const;
  // Ids of the whole prompt, bos included where the format has one, ending where the assistant is
  // to speak. Control tokens come from the template or format only: what the conversation says is
  // encoded as_text, whatever filters it went through. A prompt without look-alikes of control
  // tokens is encoded in one go, as the reference does; otherwise the stretches that hold them are
  // encoded by themselves.
  // Errors: ConfigError where the conversation does not fit (two users in a row for llama-2, what
  // the template refuses, …), or where the vocabulary lacks a named format's control tokens;
  // ModelFileError where the template cannot be carried out.
  std::vector<TokenId> encode(const Tokenizer& tokenizer, std::span<const ChatMessage> messages,
                              std::string_view tools = {}) const;
  // Ids that end an answer in this format, besides the tokenizer's own.
  std::vector<TokenId> stop_ids(const Tokenizer& tokenizer) const;

 private:
  explicit ChatFormat(const ChatSpec& spec);
  explicit ChatFormat(std::shared_ptr<const ChatTemplate> model_template);
  const ChatTemplate& template_for(std::string_view tools) const;
  std::vector<ChatSegment> render_spec(std::span<const ChatMessage> messages, std::string_view bos,
                                       std::string_view eos) const;
  void require_controls(const Tokenizer& tokenizer) const;
  std::vector<TokenId> template_stop_ids(const Tokenizer& tokenizer) const;

  // One of the two is there.
  const ChatSpec* spec_ = nullptr;  // a row of chat_specs(), lives as long as the program
  std::shared_ptr<const ChatTemplate> template_;
  std::shared_ptr<const ChatTemplate> tool_template_;  // where the model has one of its own
  std::string tool_template_refusal_;                  // or why it is not understood
  std::string name_;
};

}  // namespace tutti
