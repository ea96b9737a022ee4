#include "runtime/text/chat_format.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>

#include "kernels/error.hpp"
#include "runtime/text/chat_specs.hpp"
#include "runtime/text/jinja_canonical.hpp"

namespace tutti {
namespace {

std::string known_names() {
  return fmt::format("{}", fmt::join(ChatFormat::names(), ", "));
}

// The bytes of the white space at the start of `text` that Python's str.strip() would take.
std::size_t space_at_start(std::string_view text) {
  const auto at = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const unsigned c = at(0);
  if ((c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20)) return 1;
  if (c == 0xc2 && (at(1) == 0x85 || at(1) == 0xa0)) return 2;
  if (c < 0xe1 || c > 0xe3) return 0;
  const unsigned code = ((c & 0x0f) << 12) | ((at(1) & 0x3f) << 6) | (at(2) & 0x3f);
  const bool space = code == 0x1680 || (code >= 0x2000 && code <= 0x200a) || code == 0x2028 ||
                     code == 0x2029 || code == 0x202f || code == 0x205f || code == 0x3000;
  return space ? 3 : 0;
}

std::string_view stripped(std::string_view text) {
  while (const std::size_t bytes = space_at_start(text)) text.remove_prefix(bytes);
  for (bool again = true; again;) {
    again = false;
    for (std::size_t bytes = 1; bytes <= 3 && bytes <= text.size(); ++bytes) {
      if (space_at_start(text.substr(text.size() - bytes)) != bytes) continue;
      text.remove_suffix(bytes);
      again = true;
      break;
    }
  }
  return text;
}

std::string found_roles(std::span<const ChatMessage> messages) {
  std::string out;
  for (const ChatMessage& message : messages) out += (out.empty() ? "" : ", ") + message.role;
  return out;
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
    if (role != "system" || spec.system_place == SystemPlace::turn) continue;
    if (spec.system_place == SystemPlace::refused) {
      refuse("no system prompt (say it in the first user message)");
    }
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

std::string_view content_of(const ChatSpec& spec, const ChatMessage& message) {
  const bool trim = spec.trim == Trim::each ||
                    (spec.trim == Trim::users && message.role != "system") ||
                    (spec.trim == Trim::merged && message.role == "assistant");
  return trim ? stripped(message.content) : std::string_view(message.content);
}

// The user's words with the system prompt (or none) before them.
std::string user_text(const ChatSpec& spec, const ChatMessage* system, const ChatMessage& user) {
  std::string text;
  if (system != nullptr) {
    text = std::string(spec.system_prefix) + std::string(content_of(spec, *system)) +
           std::string(spec.system_suffix);
  }
  text += content_of(spec, user);
  return spec.trim == Trim::merged ? std::string(stripped(text)) : text;
}

// The template text of an asset: tokenizer_config.json holds a string or a list of named ones.
std::optional<std::string> template_in(const nlohmann::json& object, const std::string& key) {
  const auto found = object.find(key);
  if (found == object.end()) return std::nullopt;
  if (found->is_string()) return found->get<std::string>();
  if (!found->is_array()) return std::nullopt;
  for (const auto& entry : *found) {
    if (entry.is_object() && entry.value("name", nlohmann::json()) == "default" &&
        entry.value("template", nlohmann::json()).is_string()) {
      return entry["template"].get<std::string>();
    }
  }
  return std::nullopt;
}

std::optional<std::string> stored_template(const TokenizerAssets& assets) {
  if (const auto plain = assets.find("chat_template"); plain != assets.end()) return plain->second;
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
    if (auto text = template_in(object, key)) return text;
  }
  return std::nullopt;
}

// Format words that are plain text in this vocabulary ("[INST]" of Mistral v0.1) join the text.
std::vector<ChatSegment> as_vocabulary_has(const Tokenizer& tokenizer,
                                           std::vector<ChatSegment> segments) {
  std::vector<ChatSegment> out;
  for (ChatSegment& segment : segments) {
    const auto id = tokenizer.id_of(segment.text);
    const bool control =
        segment.special == SpecialTokens::parsed && id && tokenizer.is_special(*id);
    segment.special = control ? SpecialTokens::parsed : SpecialTokens::as_text;
    if (!control && !out.empty() && out.back().special == SpecialTokens::as_text) {
      out.back().text += segment.text;
    } else {
      out.push_back(std::move(segment));
    }
  }
  return out;
}

[[noreturn]] void refuse_template(std::string_view why) {
  throw ConfigError(
      fmt::format("{}; name the format with --chat-format (one of {}), or run with "
                  "--no-chat",
                  why, known_names()));
}

}  // namespace

ChatFormat::ChatFormat(const ChatSpec& spec, std::string default_system)
    : spec_(&spec), name_(spec.name), default_system_(std::move(default_system)) {}

std::vector<std::string> ChatFormat::names() {
  std::vector<std::string> names;
  for (const ChatSpec& spec : chat_specs()) {
    if (std::ranges::find(names, spec.name) == names.end()) names.emplace_back(spec.name);
  }
  return names;
}

ChatFormat ChatFormat::by_name(std::string_view name) {
  const auto spec = std::ranges::find(chat_specs(), name, &ChatSpec::name);
  if (spec == chat_specs().end()) {
    throw ConfigError(
        fmt::format("unknown chat format '{}'; wanted one of {}", name, known_names()));
  }
  return ChatFormat(*spec, "");
}

ChatFormat ChatFormat::detect(const TokenizerAssets& assets) {
  const auto text = stored_template(assets);
  if (!text) refuse_template("the model file holds no chat template");
  const auto canonical = canonical_template(*text);
  if (canonical) {
    const auto known =
        std::ranges::find(known_templates(), canonical->digest, &KnownTemplate::digest);
    if (known != known_templates().end()) {
      return ChatFormat(chat_specs()[known->spec], canonical->default_system);
    }
  }
  if (text->find("Cutting Knowledge Date") != std::string::npos) {
    refuse_template(
        "the stored chat template (Llama 3.1 or later) writes a date into every prompt, which no "
        "known format does; llama-3 has the same turns without the date");
  }
  const auto line = text->substr(0, std::min(text->find('\n'), std::size_t{60}));
  refuse_template(
      fmt::format("the stored chat template ({} bytes, it starts with \"{}\") is not "
                  "one of the known ones",
                  text->size(), line));
}

std::vector<ChatSegment> ChatFormat::render(std::span<const ChatMessage> messages,
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
  if (!default_system_.empty() && messages.front().role != "system") {
    turn(spec.system_prefix, default_system_, spec.system_suffix);
  }
  for (const ChatMessage& message : messages) {
    if (message.role == "user") {
      turn(spec.user_prefix, user_text(spec, pending_system, message), spec.user_suffix);
      pending_system = nullptr;
    } else if (message.role == "assistant") {
      turn(spec.assistant_prefix, content_of(spec, message), spec.assistant_suffix);
    } else if (spec.system_place == SystemPlace::in_first_user) {
      pending_system = &message;
    } else if (!message.content.empty() || !spec.skip_empty_system) {
      turn(spec.system_prefix, content_of(spec, message), spec.system_suffix);
    }
  }
  out.format(spec.generation);
  return out.take();
}

std::vector<TokenId> ChatFormat::encode(const Tokenizer& tokenizer,
                                        std::span<const ChatMessage> messages) const {
  for (const std::string_view token : spec_->control) {
    if (!tokenizer.id_of(token)) {
      throw ConfigError(
          fmt::format("chat format {} needs the control token {}, which the model's "
                      "vocabulary ({}) does not have; choose another --chat-format",
                      name_, token, tokenizer.kind()));
    }
  }
  const SpecialIds& special = tokenizer.special();
  const std::string bos = special.bos ? tokenizer.token_text(*special.bos) : "";
  const std::string eos = special.eos.empty() ? "" : tokenizer.token_text(special.eos.front());

  std::vector<TokenId> ids;
  std::string clean;  // a stretch in which only the format's own control tokens would be parsed
  const auto append = [&](const std::string& text, SpecialTokens how) {
    if (text.empty()) return;
    const auto more = tokenizer.encode(text, how);
    ids.insert(ids.end(), more.begin(), more.end());
  };
  for (const ChatSegment& segment : as_vocabulary_has(tokenizer, render(messages, bos, eos))) {
    const bool dirty = segment.special == SpecialTokens::as_text &&
                       tokenizer.encode(segment.text, SpecialTokens::parsed) !=
                           tokenizer.encode(segment.text, SpecialTokens::as_text);
    if (!dirty) {
      clean += segment.text;
      continue;
    }
    append(clean, SpecialTokens::parsed);
    clean.clear();
    append(segment.text, SpecialTokens::as_text);
  }
  append(clean, SpecialTokens::parsed);
  return ids;
}

std::vector<TokenId> ChatFormat::stop_ids(const Tokenizer& tokenizer) const {
  std::vector<TokenId> ids;
  for (const std::string_view token : spec_->stops) {
    if (const auto id = tokenizer.id_of(token)) ids.push_back(*id);
  }
  return ids;
}

}  // namespace tutti
