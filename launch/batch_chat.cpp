#include "launch/batch_chat.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace tutti {
namespace {

using nlohmann::json;
using Ordered = nlohmann::ordered_json;

constexpr std::size_t kLongestName = 512;
constexpr int kDeepest = 64;                // of tools and calls, from where they begin
constexpr std::size_t kMostMembers = 1000;  // of one object there: an ordered one searches them all

[[noreturn]] void refuse(const std::string& message) {
  throw RequestRefused("invalid_messages", message);
}

[[noreturn]] void refuse_tools(const std::string& message) {
  throw RequestRefused("invalid_value", message);
}

// The member, null where there is none.
const json& member(const json& object, const char* name) {
  static const json none;
  const auto found = object.find(name);
  return found == object.end() ? none : *found;
}

// Watches a parse, so that neither depth nor a long object costs more than it is worth.
class Limits {
 public:
  explicit Limits(int top) : top_(top), members_(static_cast<std::size_t>(top + kDeepest) + 2) {}

  void see(int depth, json::parse_event_t event) {
    const bool opens =
        event == json::parse_event_t::object_start || event == json::parse_event_t::array_start;
    if (opens && depth >= top_ + kDeepest) {
      refuse(fmt::format("tools and calls want to nest {} deep at most", kDeepest));
    }
    if (opens) members_[static_cast<std::size_t>(depth) + 1] = 0;
    if (event == json::parse_event_t::key &&
        ++members_[static_cast<std::size_t>(depth)] > kMostMembers) {
      refuse(fmt::format("an object of tools and calls wants {} members at most", kMostMembers));
    }
  }

 private:
  int top_;
  std::vector<std::size_t> members_;  // by depth
};

// Of a line that was read before: its messages and tools, members in the order in which they came.
Ordered ordered_body(std::string_view line, bool plain) {
  const int top = plain ? 1 : 2;  // where the members of the body are
  Limits limits(top + 1);
  bool in_body = plain;
  bool inside = false;
  const auto pick = [&](int depth, json::parse_event_t event, const Ordered& value) {
    const bool key = event == json::parse_event_t::key;
    if (key && depth == top) return inside = in_body && (value == "messages" || value == "tools");
    if (key && depth < top) {
      inside = false;
      return in_body = value == "body";
    }
    if (inside) limits.see(depth, event);
    return true;
  };
  Ordered object = Ordered::parse(line, pick);
  return plain ? object : std::move(object["body"]);
}

std::string dumped(const Ordered& value) {
  return value.dump(-1, ' ', false, Ordered::error_handler_t::replace);
}

// OpenAI sends the arguments of a call as text; templates want what the text says.
void parse_arguments(Ordered& function) {
  Ordered& arguments = function["arguments"];
  if (arguments.is_string()) {
    Limits limits(0);
    const auto watch = [&](int depth, json::parse_event_t event, const Ordered&) {
      limits.see(depth, event);
      return true;
    };
    const auto text = arguments.get<std::string>();
    arguments = text.empty() ? Ordered::object() : Ordered::parse(text, watch, false);
  }
  if (!arguments.is_object()) {
    refuse("'arguments' of a call in 'tool_calls' wants a JSON object, as text or as it is");
  }
}

// {"type": "function", "function": {"name": …}}, which tools and calls of tools are alike.
bool is_function(const json& entry) {
  if (!entry.is_object() || member(entry, "type") != "function") return false;
  const json& function = member(entry, "function");
  return function.is_object() && member(function, "name").is_string() &&
         !function["name"].get_ref<const std::string&>().empty();
}

bool has_calls(const json& message) {
  const json& calls = member(message, "tool_calls");
  return !calls.is_null() && !(calls.is_array() && calls.empty());
}

void check_calls(const json& calls) {
  const bool fits = calls.is_array() && std::all_of(calls.begin(), calls.end(), is_function);
  if (fits) return;
  refuse(
      "'tool_calls' of a message wants a list of {\"type\": \"function\", \"function\": {\"name\": "
      "…, \"arguments\": …}}");
}

std::string text_of(const json& content) {
  if (content.is_string()) {
    return content.get<std::string>();
  }
  if (!content.is_array()) {
    refuse(fmt::format("'content' of a message wants text, found {}", content.type_name()));
  }
  std::string text;
  for (const json& part : content) {
    const json& type = part.is_object() ? member(part, "type") : part;
    if (!part.is_object() || type != "text" || !member(part, "text").is_string()) {
      const std::string found =
          part.is_object() && type.is_string() && type != "text"
              ? fmt::format(", found the type '{}'",
                            type.get_ref<const std::string&>().substr(0, kLongestName))
              : "";
      refuse(fmt::format(
          "a part of 'content' wants {{\"type\": \"text\", \"text\": …}}{}: this program "
          "reads text only",
          found));
    }
    text += part["text"].get<std::string>();
  }
  return text;
}

void check_members(const json& message, const std::string& role) {
  for (const auto& [name, value] : message.items()) {
    if (value.is_null() || name == "role" || name == "content" || name == "name") continue;
    const char* owner = name == "tool_calls" ? "assistant" : name == "tool_call_id" ? "tool" : "";
    if (role == owner) continue;
    if (*owner != '\0') {
      refuse(fmt::format("'{}' belongs to messages of the role {}, found it in one of the role {}",
                         name, owner, role));
    }
    refuse(
        fmt::format("'{}' of a message is not known here: wanted 'role', 'content', 'name', "
                    "'tool_calls' and 'tool_call_id'",
                    name.substr(0, kLongestName)));
  }
}

std::string role_of(const json& message) {
  if (!message.is_object() || !member(message, "role").is_string()) {
    refuse("a message wants an object with 'role' and 'content'");
  }
  const auto role = message["role"].get<std::string>();
  constexpr std::array kRoles = {"system", "user", "assistant", "tool"};
  if (role == "developer") return "system";
  if (std::find(kRoles.begin(), kRoles.end(), role) == kRoles.end()) {
    refuse("'role' of a message wants system, user, assistant or tool");
  }
  return role;
}

// `ordered` is the same message, null where none of the messages has calls.
ChatMessage message_of(const json& message, const Ordered* ordered) {
  ChatMessage out{.role = role_of(message)};
  check_members(message, out.role);
  Ordered more = Ordered::object();
  const json& content = member(message, "content");
  if (!content.is_null()) {
    out.content = text_of(content);
  } else if (has_calls(message)) {
    more["content"] = nullptr;
  } else {
    refuse("a message wants an object with 'role' and 'content'");
  }
  for (const char* name : {"name", "tool_call_id"}) {
    const json& value = member(message, name);
    if (value.is_null()) continue;
    if (!value.is_string()) {
      refuse(fmt::format("'{}' of a message wants text, found {}", name, value.type_name()));
    }
    more[name] = value.get<std::string>();
  }
  if (has_calls(message)) {
    check_calls(message["tool_calls"]);
    more["tool_calls"] = (*ordered)["tool_calls"];
    for (Ordered& call : more["tool_calls"]) parse_arguments(call["function"]);
  }
  if (!more.empty()) out.more = dumped(more);
  return out;
}

bool has_tools(const json& body) {
  const json& tools = member(body, "tools");
  if (tools.is_null()) return false;
  if (!tools.is_array() || !std::all_of(tools.begin(), tools.end(), is_function)) {
    refuse_tools(
        "'tools' wants a list of {\"type\": \"function\", \"function\": {\"name\": …, …}}: other "
        "tools than functions are not known here");
  }
  return !tools.empty();
}

}  // namespace

void read_chat(const json& body, std::string_view line, bool plain, const std::string& system,
               BatchRequest& request) {
  request.api = BatchApi::chat;
  const json& messages = body["messages"];
  if (!messages.is_array() || messages.empty()) {
    refuse("'messages' wants a list with one message or more");
  }
  const bool calls = std::any_of(messages.begin(), messages.end(),
                                 [](const json& m) { return m.is_object() && has_calls(m); });
  const bool tools = has_tools(body);
  const Ordered ordered = calls || tools ? ordered_body(line, plain) : Ordered();
  for (std::size_t i = 0; i < messages.size(); ++i) {
    request.messages.push_back(message_of(messages[i], calls ? &ordered["messages"][i] : nullptr));
  }
  if (tools) request.tools = dumped(ordered["tools"]);
  const std::string& last = request.messages.back().role;
  if (last != "user" && last != "tool") {
    refuse("the last message wants to be the user's or a tool's");
  }
  const bool has_system = std::any_of(request.messages.begin(), request.messages.end(),
                                      [](const ChatMessage& m) { return m.role == "system"; });
  if (!system.empty() && !has_system) {
    request.messages.insert(request.messages.begin(), {.role = "system", .content = system});
  }
}

}  // namespace tutti
