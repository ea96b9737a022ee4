// The chat template that a model brings, carried out: a conversation in, a prompt out, in which the
// words of the template and those of the conversation are kept apart.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "runtime/text/chat_format.hpp"
#include "runtime/text/jinja_template.hpp"

namespace tutti {

class ChatTemplate {
 public:
  // The template in the assets: "chat_template", or inside "tokenizer_config.json" (of several the
  // one named "default") or "gguf.json"; nothing where there is none. Errors: ModelFileError.
  static std::optional<std::string> stored(const TokenizerAssets& assets);
  // The one named "tool_use" there, which stands in where a conversation has tools.
  static std::optional<std::string> stored_for_tools(const TokenizerAssets& assets);

  // Errors: ModelFileError with the line and what is not understood there.
  ChatTemplate(const std::string& source, ChatClock now);

  // What transformers' apply_chat_template renders with add_generation_prompt. Segments that are
  // parsed are the template's own words. Errors: ConfigError where the template refuses the
  // conversation, has no words for its tools, or `tools` is no JSON list; ModelFileError where it
  // cannot be carried out.
  std::vector<ChatSegment> render(std::span<const ChatMessage> messages, std::string_view bos,
                                  std::string_view eos, std::string_view tools) const;
  // Differs where the template differs.
  std::string digest() const;

 private:
  std::vector<ChatSegment> carry_out(jinja::List messages, std::string_view bos,
                                     std::string_view eos, const jinja::Value& tools) const;

  jinja::Template template_;
  bool knows_tools_, knows_calls_;  // it names the variable, or the member of a message
  std::uint64_t digest_;
  ChatClock now_;
};

}  // namespace tutti
