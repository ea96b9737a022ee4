#include "launch/batch_record.hpp"

#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "runtime/text/utf8.hpp"

namespace tutti {
namespace {

using json = nlohmann::ordered_json;

std::string hex(std::uint64_t number) {
  return fmt::format("{:016x}", number);
}

json choice_logprobs_of_chat(const BatchSample& sample, const SpellToken& spell) {
  const auto entry = [&](TokenId id, float logprob) {
    const std::string token = spell(id);
    json bytes = nullptr;  // of a part of a character they are not known
    if (token.find(text::kReplacement) == std::string::npos) {
      bytes = json::array();
      for (const char c : token) {
        bytes.push_back(static_cast<unsigned char>(c));
      }
    }
    return json{{"token", token}, {"logprob", logprob}, {"bytes", bytes}};
  };
  json content = json::array();
  for (const TokenEvent& event : sample.events) {
    json one = entry(event.token, *event.logprob);
    one["top_logprobs"] = json::array();
    for (const TokenLogprob& other : event.top) {
      one["top_logprobs"].push_back(entry(other.id, other.logprob));
    }
    content.push_back(std::move(one));
  }
  return {{"content", content}, {"refusal", nullptr}};
}

json choice_logprobs_of_completion(const BatchSample& sample, const SpellToken& spell) {
  json tokens = json::array();
  json logprobs = json::array();
  json tops = json::array();
  json offsets = json::array();
  std::size_t offset = 0;
  for (const TokenEvent& event : sample.events) {
    tokens.push_back(spell(event.token));
    logprobs.push_back(*event.logprob);
    json top = json::object();
    for (const TokenLogprob& other : event.top) {
      top[spell(other.id)] = other.logprob;
    }
    tops.push_back(std::move(top));
    offsets.push_back(offset);
    offset += event.text.size();
  }
  return {{"tokens", tokens},
          {"token_logprobs", logprobs},
          {"top_logprobs", tops},
          {"text_offset", offsets}};
}

json choice_of(const BatchRequest& request, const BatchSample& sample, std::size_t index,
               const SpellToken& spell) {
  const bool chat = request.api == BatchApi::chat;
  json choice = {{"index", index}};
  if (chat) {
    choice["message"] = {{"role", "assistant"}, {"content", sample.text}, {"refusal", nullptr}};
  } else {
    choice["text"] = sample.text;
  }
  choice["logprobs"] = nullptr;
  if (request.sampling.logprobs) {
    choice["logprobs"] = chat ? choice_logprobs_of_chat(sample, spell)
                              : choice_logprobs_of_completion(sample, spell);
  }
  choice["finish_reason"] = name_of(sample.finish.value_or(FinishReason::cancelled));
  return choice;
}

json own_part(const BatchModel& model, const BatchRequest& request, std::uint64_t hash) {
  return {{"request", hex(hash)},
          {"model", model.fingerprint},
          {"name", model.name},
          {"dtype", model.dtype},
          {"parameters", model.parameters},
          {"ranks", model.ranks},
          {"devices", model.devices},
          {"line", request.line}};
}

std::string line_of(const json& record) {
  return record.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string answer_record(const BatchModel& model, const BatchRequest& request, std::uint64_t hash,
                          std::size_t prompt_tokens, const std::vector<BatchSample>& samples,
                          const SpellToken& spell, std::int64_t created) {
  const bool chat = request.api == BatchApi::chat;
  const std::string name = hex(hash_of_id(request.custom_id));
  std::uint64_t answer_tokens = 0;
  json choices = json::array();
  for (std::size_t i = 0; i < samples.size(); ++i) {
    choices.push_back(choice_of(request, samples[i], i, spell));
    answer_tokens += samples[i].tokens;
  }
  const json usage = {{"prompt_tokens", prompt_tokens},
                      {"completion_tokens", answer_tokens},
                      {"total_tokens", prompt_tokens + answer_tokens}};
  const json body = {{"id", (chat ? "chatcmpl-" : "cmpl-") + name},
                     {"object", chat ? "chat.completion" : "text_completion"},
                     {"created", created},
                     {"model", model.name},
                     {"choices", choices},
                     {"usage", usage},
                     {"system_fingerprint", model.fingerprint}};
  return line_of(
      {{"id", "batch_req_" + name},
       {"custom_id", request.custom_id},
       {"response", {{"status_code", 200}, {"request_id", "req_" + name}, {"body", body}}},
       {"error", nullptr},
       {"tutti", own_part(model, request, hash)}});
}

std::string error_record(const BatchModel& model, const BatchRequest& request, std::uint64_t hash,
                         const RequestRefusal& refusal) {
  return line_of(
      {{"id", "batch_req_" + hex(hash_of_id(request.custom_id))},
       {"custom_id", request.custom_id},
       {"response", nullptr},
       {"error", {{"code", refusal.code}, {"message", refusal.message}, {"line", request.line}}},
       {"tutti", own_part(model, request, hash)}});
}

std::optional<RecordMark> mark_of(std::string_view line, const std::string& fingerprint) {
  if (!line.starts_with(kRecordBegin)) {
    return std::nullopt;
  }
  const nlohmann::json record = nlohmann::json::parse(line, nullptr, false);
  static const nlohmann::json kNothing;
  const auto member = [](const nlohmann::json& object, const char* name) -> const nlohmann::json& {
    const auto found = object.find(name);
    return object.is_object() && found != object.end() ? *found : kNothing;
  };
  const nlohmann::json& own = member(record, "tutti");
  const nlohmann::json& id = member(record, "custom_id");
  const nlohmann::json& request = member(own, "request");
  const nlohmann::json& model = member(own, "model");
  if (!id.is_string() || !request.is_string() || !model.is_string()) {
    return std::nullopt;
  }
  RecordMark mark{.custom_id = id.get<std::string>()};
  const auto& digits = request.get_ref<const std::string&>();
  const char* end = digits.data() + digits.size();
  const auto parsed = std::from_chars(digits.data(), end, mark.request, 16);
  if (parsed.ec != std::errc() || parsed.ptr != end) {
    return std::nullopt;
  }
  mark.id = hash_of_id(mark.custom_id);
  mark.other_model = model.get_ref<const std::string&>() != fingerprint;
  mark.error = !member(record, "error").is_null();
  return mark;
}

}  // namespace tutti
