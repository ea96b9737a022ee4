#include "launch/batch_request.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <span>

#include "launch/batch_chat.hpp"
#include "launch/batch_parameters.hpp"
#include "runtime/text/utf8.hpp"
#include "runtime/weights/digest.hpp"

namespace tutti {
namespace {

using nlohmann::json;

constexpr std::size_t kLongestId = 512;

[[noreturn]] void refuse(const char* code, const std::string& message) {
  throw RequestRefused(code, message);
}

json parse_object(std::string_view text) {
  json object;
  try {
    object = json::parse(text);
  } catch (const json::exception& error) {
    // Its text may quote what is no UTF-8, and be as long as the line.
    constexpr std::size_t kLongest = 200;
    const std::string why = text::replace_invalid_utf8(std::string(error.what()));
    const std::size_t cut = why.find("; last read");
    refuse("invalid_json",
           fmt::format("the line is no JSON: {}",
                       text::replace_invalid_utf8(why.substr(0, std::min(cut, kLongest)))));
  }
  if (!object.is_object()) {
    refuse("invalid_json", fmt::format("the line wants a JSON object, found {} {}",
                                       object.is_array() ? "an" : "a", object.type_name()));
  }
  return object;
}

// custom_id, or of a plain line also id; as text where it is a number.
void read_id(const json& object, bool plain, std::string& custom_id) {
  for (const char* name : {"custom_id", "id"}) {
    const auto found = object.find(name);
    if (found == object.end() || found->is_null() || (!plain && name[0] == 'i')) {
      continue;
    }
    std::string id = found->is_number_integer() ? found->dump()
                     : found->is_string()       ? found->get<std::string>()
                                                : std::string();
    if (id.empty() || id.size() > kLongestId) {
      refuse("invalid_custom_id",
             fmt::format("'{}' wants a text of 1 to {} bytes", name, kLongestId));
    }
    custom_id = std::move(id);
    return;
  }
}

void read_prompt(const json& prompt, BatchRequest& request) {
  if (prompt.is_string()) {
    request.prompt = prompt.get<std::string>();
    if (request.prompt.empty()) {
      refuse("invalid_prompt", "'prompt' is empty");
    }
    return;
  }
  if (prompt.is_array() && prompt.size() == 1 && !prompt[0].is_number()) {
    if (prompt[0].is_array() && (prompt[0].empty() || !prompt[0][0].is_number())) {
      refuse("invalid_prompt", "'prompt' wants a text or a list of token ids");
    }
    read_prompt(prompt[0], request);
    return;
  }
  if (!prompt.is_array() || prompt.empty()) {
    refuse("invalid_prompt", "'prompt' wants a text or a list of token ids");
  }
  if (!prompt[0].is_number()) {
    refuse("invalid_prompt",
           fmt::format("'prompt' wants one prompt a line, found a list of {}", prompt.size()));
  }
  request.as_ids = true;
  for (const json& id : prompt) {
    if (!id.is_number_integer() || id.get<std::int64_t>() < 0 ||
        id.get<std::int64_t>() > std::numeric_limits<TokenId>::max()) {
      refuse("invalid_prompt", "'prompt' as a list wants token ids");
    }
    request.prompt_ids.push_back(id.get<TokenId>());
  }
}

// `line` is what `body` came from. `plain`: parameters stand beside the ids of a plain line.
void read_body(const json& body, std::string_view line, bool plain, const BatchDefaults& defaults,
               BatchRequest& request) {
  const bool chat = body.contains("messages");
  if (chat == body.contains("prompt")) {
    refuse(chat ? "invalid_request" : "missing_field",
           chat ? "'prompt' and 'messages' exclude each other"
                : "wanted 'prompt' or 'messages', found neither");
  }
  if (chat) {
    read_chat(body, line, plain, defaults.system, request);
  } else {
    read_prompt(body["prompt"], request);
  }
  if (plain) {
    apply_parameters(body, {"prompt", "messages", "custom_id", "id"}, request);
  } else {
    apply_parameters(body, {"prompt", "messages"}, request);
  }
}

void read_openai_form(const json& object, std::string_view line, const BatchDefaults& defaults,
                      BatchRequest& request) {
  for (const char* name : {"method", "url", "body"}) {
    if (!object.contains(name)) {
      refuse("missing_field", fmt::format("'{}' is missing: a request of a batch has custom_id, "
                                          "method, url and body",
                                          name));
    }
  }
  if (object["method"] != "POST") {
    refuse("invalid_method", "'method' wants \"POST\"");
  }
  const json& url = object["url"];
  const bool chat = url == "/v1/chat/completions";
  if (!chat && url != "/v1/completions") {
    refuse("invalid_url", "'url' wants \"/v1/completions\" or \"/v1/chat/completions\"");
  }
  const json& body = object["body"];
  if (!body.is_object()) {
    refuse("invalid_request", "'body' wants an object");
  }
  const char* wanted = chat ? "messages" : "prompt";
  if (!body.contains(wanted)) {
    refuse("missing_field", fmt::format("'{}' is missing in 'body'", wanted));
  }
  read_body(body, line, false, defaults, request);
}

void read_raw(std::string_view text, const BatchDefaults& defaults, BatchRequest& request) {
  if (!text::is_valid_utf8(text)) {
    refuse("invalid_utf8", "the line is no UTF-8 text");
  }
  if (!defaults.raw_chat) {
    request.prompt = text;
    return;
  }
  request.api = BatchApi::chat;
  if (!defaults.system.empty()) {
    request.messages.push_back({.role = "system", .content = defaults.system});
  }
  request.messages.push_back({.role = "user", .content = std::string(text)});
}

std::uint64_t hash_text(std::string_view text) {
  return xxh3(std::as_bytes(std::span(text)));
}

}  // namespace

ParsedLine parse_batch_line(std::string_view text, std::uint64_t number,
                            const BatchDefaults& defaults) {
  ParsedLine parsed;
  parsed.request.custom_id = fmt::format("line-{}", number);
  parsed.request.line = number;
  parsed.request.sampling = defaults.sampling;
  try {
    if (defaults.raw_text) {
      read_raw(text, defaults, parsed.request);
      return parsed;
    }
    const json object = parse_object(text);
    const bool plain =
        !object.contains("body") && !object.contains("url") && !object.contains("method");
    read_id(object, plain, parsed.request.custom_id);
    if (plain) {
      read_body(object, text, true, defaults, parsed.request);
    } else {
      read_openai_form(object, text, defaults, parsed.request);
    }
  } catch (const RequestRefused& refused) {
    parsed.refusal = {.code = refused.code, .message = refused.what()};
  }
  return parsed;
}

std::uint64_t hash_of(const BatchRequest& request, std::string_view circumstances) {
  const SamplingOptions& s = request.sampling;
  json messages = json::array();
  for (const ChatMessage& message : request.messages) {
    messages.push_back({message.role, message.content});
    if (!message.more.empty()) messages.back().push_back(message.more);
  }
  json bias = json::array();
  for (const LogitBias& one : s.logit_bias) {
    bias.push_back({one.id, one.bias});
  }
  // Positions, not names: nothing here is read back.
  json all = {static_cast<int>(request.api),
              messages,
              request.prompt,
              request.prompt_ids,
              request.as_ids,
              request.samples,
              s.temperature,
              s.top_k,
              s.top_p,
              s.min_p,
              s.repetition_penalty,
              s.presence_penalty,
              s.frequency_penalty,
              bias,
              s.seed,
              s.max_tokens,
              s.min_tokens,
              s.ignore_eos,
              s.stop_ids,
              s.stop,
              s.logprobs.value_or(-1),
              circumstances};
  // What older versions did not know must not change the hashes that they wrote.
  if (!request.tools.empty()) all.push_back(request.tools);
  return hash_text(all.dump(-1, ' ', false, json::error_handler_t::replace));
}

std::uint64_t hash_of(const RequestRefusal& refusal, std::string_view line) {
  return hash_text(fmt::format("{}\n{}\n{:016x}", refusal.code, refusal.message, hash_text(line)));
}

std::uint64_t hash_of_id(std::string_view custom_id) {
  return hash_text(custom_id);
}

std::uint64_t draw_stream(std::string_view custom_id, int index) {
  return hash_text(fmt::format("{}\n{}", index, custom_id));
}

}  // namespace tutti
