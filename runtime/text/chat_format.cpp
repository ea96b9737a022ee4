#include "runtime/text/chat_format.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>
#include <optional>

#include "kernels/error.hpp"
#include "runtime/text/chat_specs.hpp"
#include "runtime/text/chat_template.hpp"

namespace tutti {
namespace {

std::string known_names() {
  return fmt::format("{}", fmt::join(ChatFormat::names(), ", "));
}

std::string stripped(const std::string& text) {
  return jinja::stripped(jinja::Text(text), jinja::Side::both).bytes();
}

std::string found_roles(std::span<const ChatMessage> messages) {
  std::string out;
  for (const ChatMessage& message : messages) out += (out.empty() ? "" : ", ") + message.role;
  return out;
}

bool has_tool_calls(const ChatMessage& message) {
  const auto more = nlohmann::json::parse(message.more, nullptr, false);
  return more.is_object() && more.contains("tool_calls");
}

void check_roles(const ChatSpec& spec, std::span<const ChatMessage> messages) {
  const auto refuse = [&](std::string_view wanted) {
    throw ConfigError(fmt::format("chat format {} wants {}; the conversation's roles are: {}",
                                  spec.name, wanted, found_roles(messages)));
  };
  if (messages.empty()) refuse("at least one message");
  if (messages.back().role != "user") refuse("the last message to be the user's");
  std::size_t first_turn = 0;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const std::string& role = messages[i].role;
    if (role != "system" && role != "user" && role != "assistant") {
      refuse("the roles system, user and assistant only");
    }
    if (has_tool_calls(messages[i])) refuse("no calls of tools, which it cannot write");
    if (role != "system" || spec.system_place == SystemPlace::turn) continue;
    if (i > 0) refuse("the system prompt first, and one at most");
    first_turn = 1;
  }
  if (!spec.alternating) return;
  for (std::size_t i = first_turn; i < messages.size(); ++i) {
    const bool user = (i - first_turn) % 2 == 0;
    if ((messages[i].role == "user") != user) {
      refuse("user and assistant to take turns, the user first");
    }
  }
}

// Collects segments; neighbouring texts become one, each control token stays by itself.
class Writer {
 public:
  Writer(const ChatSpec& spec, std::string_view bos, std::string_view eos)
      : spec_(spec), bos_(bos), eos_(eos) {}

  void text(std::string_view plain) { add(plain, SpecialTokens::as_text); }

  // A text of the format, its control tokens set apart.
  void format(std::string_view words) {
    while (!words.empty()) {
      const auto [begin, token] = next_control(words);
      text(words.substr(0, begin));
      if (token.empty()) return;
      add(token == "{bos}" ? bos_ : token == "{eos}" ? eos_ : token, SpecialTokens::parsed);
      words.remove_prefix(begin + token.size());
    }
  }

  std::vector<ChatSegment> take() { return std::move(segments_); }

 private:
  void add(std::string_view text, SpecialTokens special) {
    if (text.empty()) return;
    const bool plain = special == SpecialTokens::as_text;
    if (plain && !segments_.empty() && segments_.back().special == special) {
      segments_.back().text += text;
    } else {
      segments_.push_back({std::string(text), special});
    }
  }

  std::pair<std::size_t, std::string_view> next_control(std::string_view words) const {
    std::pair<std::size_t, std::string_view> best{words.size(), {}};
    const auto look_for = [&](std::string_view token) {
      const std::size_t at = words.find(token);
      if (at < best.first) best = {at, token};
    };
    look_for("{bos}");
    look_for("{eos}");
    std::ranges::for_each(spec_.control, look_for);
    std::ranges::for_each(spec_.maybe_control, look_for);
    return best;
  }

  const ChatSpec& spec_;
  std::string_view bos_, eos_;
  std::vector<ChatSegment> segments_;
};

std::string content_of(const ChatSpec& spec, const ChatMessage& message) {
  const bool trim = spec.trim == Trim::each ||
                    (spec.trim == Trim::users && message.role != "system") ||
                    (spec.trim == Trim::merged && message.role == "assistant");
  return trim ? stripped(message.content) : message.content;
}

// The user's words with the system prompt (or none) before them.
std::string user_text(const ChatSpec& spec, const ChatMessage* system, const ChatMessage& user) {
  std::string text;
  if (system != nullptr) {
    text = std::string(spec.system_prefix) + content_of(spec, *system) +
           std::string(spec.system_suffix);
  }
  text += content_of(spec, user);
  return spec.trim == Trim::merged ? stripped(text) : text;
}

// The control tokens of the template or format each by itself, all other text joined: words that
// are no control tokens in this vocabulary ("[INST]" of Mistral v0.1) are text as well.
std::vector<ChatSegment> as_vocabulary_has(const Tokenizer& tokenizer,
                                           const std::vector<ChatSegment>& segments) {
  std::vector<ChatSegment> out;
  const auto text = [&](std::string_view words) {
    if (words.empty()) return;
    if (out.empty() || out.back().special == SpecialTokens::parsed) out.push_back({});
    out.back().text += words;
  };
  for (const ChatSegment& segment : segments) {
    std::string_view rest = segment.text;
    if (segment.special == SpecialTokens::parsed) {
      for (const TokenId id : tokenizer.encode(rest, SpecialTokens::parsed)) {
        if (!tokenizer.is_special(id)) continue;
        const std::string token = tokenizer.token_text(id);
        const std::size_t at = rest.find(token);
        if (token.empty() || at == std::string_view::npos) continue;
        text(rest.substr(0, at));
        out.push_back({token, SpecialTokens::parsed});
        rest.remove_prefix(at + token.size());
      }
    }
    text(rest);
  }
  return out;
}

std::vector<TokenId> control_ids(const Tokenizer& tokenizer, std::span<const TokenId> ids) {
  std::vector<TokenId> out;
  for (const TokenId id : ids) {
    if (tokenizer.is_special(id) && id != tokenizer.special().unk) out.push_back(id);
  }
  return out;
}

// A stretch whose texts, each by itself, hold no look-alike of a control token: encoded in one go,
// as the reference does, unless the seams make one.
void append_clean(const Tokenizer& tokenizer, std::span<const ChatSegment> segments,
                  std::vector<TokenId>& ids) {
  std::string joined;
  std::vector<TokenId> one_by_one;
  std::vector<TokenId> controls;
  for (const ChatSegment& segment : segments) {
    joined += segment.text;
    const auto part = tokenizer.encode(segment.text, segment.special);
    one_by_one.insert(one_by_one.end(), part.begin(), part.end());
    if (segment.special == SpecialTokens::as_text) continue;
    const auto more = control_ids(tokenizer, part);
    controls.insert(controls.end(), more.begin(), more.end());
  }
  if (joined.empty()) return;
  const auto together = tokenizer.encode(joined, SpecialTokens::parsed);
  const auto& chosen = control_ids(tokenizer, together) == controls ? together : one_by_one;
  ids.insert(ids.end(), chosen.begin(), chosen.end());
}

std::string bos_of(const Tokenizer& tokenizer) {
  const SpecialIds& special = tokenizer.special();
  return special.bos ? tokenizer.token_text(*special.bos) : "";
}

std::string eos_of(const Tokenizer& tokenizer) {
  const SpecialIds& special = tokenizer.special();
  return special.eos.empty() ? "" : tokenizer.token_text(special.eos.front());
}

std::tm local_time() {
  const std::time_t now = std::time(nullptr);
  std::tm out{};
  localtime_r(&now, &out);
  return out;
}

std::string with_way_out(std::string_view why) {
  return fmt::format("{}; name the format with --chat-format (one of {}), or run with --no-chat",
                     why, known_names());
}

}  // namespace

ChatFormat::ChatFormat(const ChatSpec& spec) : spec_(&spec), name_(spec.name) {}

ChatFormat::ChatFormat(std::shared_ptr<const ChatTemplate> model_template)
    : template_(std::move(model_template)), name_("the model's template") {}

std::vector<std::string> ChatFormat::names() {
  std::vector<std::string> names;
  for (const ChatSpec& spec : chat_specs()) names.emplace_back(spec.name);
  return names;
}

ChatFormat ChatFormat::by_name(std::string_view name) {
  const auto spec = std::ranges::find(chat_specs(), name, &ChatSpec::name);
  if (spec == chat_specs().end()) {
    throw ConfigError(
        fmt::format("unknown chat format '{}'; wanted one of {}", name, known_names()));
  }
  return ChatFormat(*spec);
}

ChatFormat ChatFormat::detect(const TokenizerAssets& assets) {
  return detect(assets, local_time);
}

ChatFormat ChatFormat::detect(const TokenizerAssets& assets, ChatClock now) {
  const auto text = ChatTemplate::stored(assets);
  if (!text) throw ConfigError(with_way_out("the model file holds no chat template"));
  const auto for_tools = ChatTemplate::stored_for_tools(assets);
  try {
    ChatFormat format(std::make_shared<const ChatTemplate>(*text, now));
    if (!for_tools) return format;
    try {
      format.tool_template_ = std::make_shared<const ChatTemplate>(*for_tools, std::move(now));
    } catch (const ModelFileError& error) {
      format.tool_template_refusal_ = fmt::format("the template for tools: {}", error.what());
    }
    return format;
  } catch (const ModelFileError& error) {
    throw ModelFileError(with_way_out(error.what()));
  }
}

// Chats without tools do not suffer from a template for tools that is not understood.
const ChatTemplate& ChatFormat::template_for(std::string_view tools) const {
  if (tools.empty()) return *template_;
  if (!tool_template_refusal_.empty()) throw ModelFileError(tool_template_refusal_);
  return tool_template_ ? *tool_template_ : *template_;
}

std::string ChatFormat::identity() const {
  return template_ ? template_->digest() : name_;
}

std::vector<ChatSegment> ChatFormat::render(std::span<const ChatMessage> messages,
                                            std::string_view bos, std::string_view eos,
                                            std::string_view tools) const {
  if (template_ == nullptr) {
    if (tools.empty()) return render_spec(messages, bos, eos);
    throw ConfigError(fmt::format("chat format {} knows no tools", name_));
  }
  if (messages.empty() || (messages.back().role != "user" && messages.back().role != "tool")) {
    throw ConfigError(
        fmt::format("a chat wants the last message to be the user's or a tool's; the "
                    "conversation's roles are: {}",
                    found_roles(messages)));
  }
  try {
    return template_for(tools).render(messages, bos, eos, tools);
  } catch (const ModelFileError& error) {
    throw ModelFileError(with_way_out(error.what()));
  }
}

std::vector<ChatSegment> ChatFormat::render_spec(std::span<const ChatMessage> messages,
                                                 std::string_view bos, std::string_view eos) const {
  const ChatSpec& spec = *spec_;
  check_roles(spec, messages);
  Writer out(spec, bos, eos);
  out.format(spec.bos);
  const auto turn = [&](std::string_view prefix, std::string_view text, std::string_view suffix) {
    out.format(prefix);
    out.text(text);
    out.format(suffix);
  };
  const ChatMessage* pending_system = nullptr;
  for (const ChatMessage& message : messages) {
    if (message.role == "user") {
      turn(spec.user_prefix, user_text(spec, pending_system, message), spec.user_suffix);
      pending_system = nullptr;
    } else if (message.role == "assistant") {
      turn(spec.assistant_prefix, content_of(spec, message), spec.assistant_suffix);
    } else if (spec.system_place == SystemPlace::in_first_user) {
      pending_system = &message;
    } else {
      turn(spec.system_prefix, content_of(spec, message), spec.system_suffix);
    }
  }
  out.format(spec.generation);
  return out.take();
}

std::vector<TokenId> ChatFormat::encode(const Tokenizer& tokenizer,
                                        std::span<const ChatMessage> messages,
                                        std::string_view tools) const {
  if (spec_ != nullptr) require_controls(tokenizer);
  const std::vector<ChatSegment> segments =
      as_vocabulary_has(tokenizer, render(messages, bos_of(tokenizer), eos_of(tokenizer), tools));
  std::vector<TokenId> ids;
  std::size_t clean = 0;  // where the stretch without look-alikes begins
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const ChatSegment& segment = segments[i];
    if (segment.special == SpecialTokens::parsed) continue;
    const auto as_text = tokenizer.encode(segment.text, SpecialTokens::as_text);
    if (tokenizer.encode(segment.text, SpecialTokens::parsed) == as_text) continue;
    append_clean(tokenizer, std::span(segments).subspan(clean, i - clean), ids);
    ids.insert(ids.end(), as_text.begin(), as_text.end());
    clean = i + 1;
  }
  append_clean(tokenizer, std::span(segments).subspan(clean), ids);
  return ids;
}

void ChatFormat::require_controls(const Tokenizer& tokenizer) const {
  for (const std::string_view token : spec_->control) {
    if (tokenizer.id_of(token)) continue;
    throw ConfigError(
        fmt::format("chat format {} needs the control token {}, which the model's "
                    "vocabulary ({}) does not have; choose another --chat-format",
                    name_, token, tokenizer.kind()));
  }
}

std::vector<TokenId> ChatFormat::stop_ids(const Tokenizer& tokenizer) const {
  if (spec_ == nullptr) return template_stop_ids(tokenizer);
  std::vector<TokenId> ids;
  for (const std::string_view token : spec_->stops) {
    if (const auto id = tokenizer.id_of(token)) ids.push_back(*id);
  }
  return ids;
}

// The control token that the template writes right after an answer.
std::vector<TokenId> ChatFormat::template_stop_ids(const Tokenizer& tokenizer) const {
  const std::string answer = "answer";
  const std::vector<ChatMessage> probe = {{"user", "a"}, {"assistant", answer}, {"user", "b"}};
  try {
    const auto segments =
        as_vocabulary_has(tokenizer, render(probe, bos_of(tokenizer), eos_of(tokenizer)));
    for (std::size_t i = 0; i + 1 < segments.size(); ++i) {
      const std::size_t at = segments[i].text.rfind(answer);
      if (segments[i].special == SpecialTokens::parsed || at == std::string::npos) continue;
      const bool ends = stripped(segments[i].text.substr(at + answer.size())).empty();
      const auto id = tokenizer.id_of(segments[i + 1].text);
      if (ends && id) return {*id};
    }
  } catch (const Error&) {
    // A template that cannot render this says by itself what it wants when it is used.
  }
  return {};
}

}  // namespace tutti
