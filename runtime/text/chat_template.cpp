#include "runtime/text/chat_template.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "kernels/error.hpp"
#include "runtime/text/jinja_lexer.hpp"
#include "runtime/text/utf8.hpp"

namespace tutti {
namespace {

using Json = nlohmann::ordered_json;  // tools are written in the order in which they came
using jinja::Origin;
using jinja::Text;
using jinja::Value;

constexpr const char* kDefault = "default";
constexpr int kMaxDepth = 64;  // of what a user passes on

std::uint64_t fnv1a(std::string_view text) {
  std::uint64_t value = 0xcbf29ce484222325U;
  for (const char c : text) value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  return value;
}

Text user_text(std::string_view text) {
  return Text(text::replace_invalid_utf8(text), Origin::user);
}

Value value_of(const Json& json, int depth = 0) {
  if (depth > kMaxDepth) throw ConfigError("tools and messages nest too deeply");
  if (json.is_string()) return user_text(json.get_ref<const std::string&>());
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_number_float()) return json.get<double>();
  if (json.is_number()) {
    const bool fits = !json.is_number_unsigned() || json.get<std::uint64_t>() <= INT64_MAX;
    return fits ? Value(json.get<std::int64_t>()) : Value(json.get<double>());
  }
  if (json.is_array()) {
    jinja::List items;
    for (const Json& item : json) items.push_back(value_of(item, depth + 1));
    return Value::list(std::move(items));
  }
  if (json.is_object()) {
    jinja::Entries entries;
    for (const auto& [key, item] : json.items()) {
      entries.emplace_back(user_text(key), value_of(item, depth + 1));
    }
    return Value::dict(std::move(entries));
  }
  return {};
}

Value message_value(const ChatMessage& message) {
  jinja::Entries entries;
  entries.emplace_back(Text(std::string("role")), user_text(message.role));
  entries.emplace_back(Text(std::string("content")), user_text(message.content));
  if (message.more.empty()) return Value::dict(std::move(entries));
  const Json more = Json::parse(message.more, nullptr, false);
  if (!more.is_object()) throw ConfigError("what a message brings besides wants a JSON object");
  for (const auto& [key, item] : more.items()) {
    if (key != "role" && key != "content") entries.emplace_back(user_text(key), value_of(item));
    if (key == "content") entries[1].second = value_of(item);
  }
  return Value::dict(std::move(entries));
}

Value with_other_content(const Value& message) {
  jinja::Entries entries = message.as_dict()->entries;
  for (auto& [key, value] : entries) {
    if (key.bytes() != "content") continue;
    const Text* text = value.as_text();
    value = user_text((text == nullptr ? "" : text->bytes()) + "'");
  }
  return Value::dict(std::move(entries));
}

Value tools_value(std::string_view tools) {
  if (tools.empty()) return {};
  const Json json = Json::parse(tools, nullptr, false);
  if (!json.is_array()) throw ConfigError("tools want a JSON list of functions");
  return value_of(json);
}

std::vector<ChatSegment> segments_of(const Text& text) {
  std::vector<ChatSegment> segments;
  for (std::size_t begin = 0; begin < text.size();) {
    const Origin origin = text.origin(begin);
    std::size_t end = begin;
    while (end < text.size() && text.origin(end) == origin) ++end;
    segments.push_back({text.bytes().substr(begin, end - begin),
                        origin == Origin::model ? SpecialTokens::parsed : SpecialTokens::as_text});
    begin = end;
  }
  return segments;
}

// Whether the template's code, not its text, has the name or a string of it.
bool mentions(std::string_view source, std::string_view name) {
  const auto tokens = jinja::tokens_of(source);
  return std::any_of(tokens.begin(), tokens.end(), [&](const jinja::Token& token) {
    const bool code =
        token.kind == jinja::TokenKind::name || token.kind == jinja::TokenKind::string;
    return code && token.text == name;
  });
}

// tokenizer_config.json holds a string, which is the default, or a list of named ones.
std::optional<std::string> template_in(const nlohmann::json& object, const std::string& key,
                                       const char* name) {
  const auto found = object.find(key);
  if (found == object.end()) return std::nullopt;
  if (found->is_string() && name == kDefault) return found->get<std::string>();
  if (!found->is_array()) return std::nullopt;
  for (const auto& entry : *found) {
    if (entry.is_object() && entry.value("name", nlohmann::json()) == name &&
        entry.value("template", nlohmann::json()).is_string()) {
      return entry["template"].get<std::string>();
    }
  }
  return std::nullopt;
}

std::optional<std::string> template_named(const char* name, const TokenizerAssets& assets) {
  constexpr std::array<std::pair<const char*, const char*>, 2> kPlaces = {
      {{"tokenizer_config.json", "chat_template"}, {"gguf.json", "tokenizer.chat_template"}}};
  for (const auto& [file, key] : kPlaces) {
    const auto asset = assets.find(file);
    if (asset == assets.end()) continue;
    const auto object = nlohmann::json::parse(asset->second, nullptr, false);
    if (!object.is_object()) {
      throw ModelFileError(fmt::format("{}: wanted a JSON object, found {}", file,
                                       object.is_discarded() ? "no JSON" : object.type_name()));
    }
    if (auto text = template_in(object, key, name)) return text;
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> ChatTemplate::stored(const TokenizerAssets& assets) {
  if (const auto plain = assets.find("chat_template"); plain != assets.end()) return plain->second;
  return template_named(kDefault, assets);
}

std::optional<std::string> ChatTemplate::stored_for_tools(const TokenizerAssets& assets) {
  return template_named("tool_use", assets);
}

ChatTemplate::ChatTemplate(const std::string& source, ChatClock now)
    : template_(source),
      knows_tools_(mentions(source, "tools")),
      knows_calls_(mentions(source, "tool_calls")),
      digest_(fnv1a(source)),
      now_(std::move(now)) {}

std::vector<ChatSegment> ChatTemplate::render(std::span<const ChatMessage> messages,
                                              std::string_view bos, std::string_view eos,
                                              std::string_view tools) const {
  try {
    const Value functions = tools_value(tools);
    if (functions.truthy() && !knows_tools_) {
      throw ConfigError("the model's chat template has no words for tools");
    }
    jinja::List list;
    for (const ChatMessage& message : messages) {
      list.push_back(message_value(message));
      if (!knows_calls_ && list.back().as_dict()->find("tool_calls") != nullptr) {
        throw ConfigError("the model's chat template has no words for calls of tools");
      }
    }
    auto segments = carry_out(list, bos, eos, functions);
    // What a tool says must make a difference, or the template has left it out.
    bool other_answers = false;
    for (std::size_t i = 0; i < messages.size(); ++i) {
      if (messages[i].role != "tool") continue;
      list[i] = with_other_content(list[i]);
      other_answers = true;
    }
    if (other_answers && carry_out(std::move(list), bos, eos, functions) == segments) {
      throw ConfigError("the model's chat template has no words for what a tool answers");
    }
    return segments;
  } catch (const jinja::Problem& problem) {
    throw ConfigError(fmt::format("the conversation cannot be passed on: {}", problem.what()));
  }
}

std::vector<ChatSegment> ChatTemplate::carry_out(jinja::List messages, std::string_view bos,
                                                 std::string_view eos, const Value& tools) const {
  const jinja::Variables variables = {
      {"messages", Value::list(std::move(messages))},
      {"tools", tools},
      {"documents", Value()},
      {"add_generation_prompt", true},
      {"bos_token", Value::text(bos)},
      {"eos_token", Value::text(eos)},
  };
  return segments_of(template_.render(variables, now_));
}

std::string ChatTemplate::digest() const {
  return fmt::format("{:016x}", digest_);
}

}  // namespace tutti
