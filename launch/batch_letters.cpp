#include "launch/batch_letters.hpp"

#include <fmt/format.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <span>
#include <type_traits>

#include "kernels/error.hpp"

namespace tutti {
namespace {

using nlohmann::json;

// Arrays of numbers as their bytes: prompts may be long.
template <typename T>
json packed(std::span<const T> values) {
  static_assert(std::is_trivially_copyable_v<T>);
  const auto* begin = reinterpret_cast<const std::uint8_t*>(values.data());
  return json::binary({begin, begin + values.size_bytes()});
}

template <typename T>
std::vector<T> unpacked(const json& bytes) {
  const json::binary_t& binary = bytes.get_binary();
  std::vector<T> values(binary.size() / sizeof(T));
  if (!values.empty()) {
    std::memcpy(values.data(), binary.data(), values.size() * sizeof(T));
  }
  return values;
}

json sampling_json(const SamplingOptions& s) {
  return {{"temperature", s.temperature},
          {"top_k", s.top_k},
          {"top_p", s.top_p},
          {"min_p", s.min_p},
          {"repetition", s.repetition_penalty},
          {"presence", s.presence_penalty},
          {"frequency", s.frequency_penalty},
          {"bias", packed<LogitBias>(s.logit_bias)},
          {"seed", s.seed},
          {"max_tokens", s.max_tokens},
          {"min_tokens", s.min_tokens},
          {"ignore_eos", s.ignore_eos},
          {"stop_ids", packed<TokenId>(s.stop_ids)},
          {"stop", s.stop},
          {"logprobs", s.logprobs ? json(*s.logprobs) : json()}};
}

SamplingOptions sampling_from(const json& from) {
  SamplingOptions s;
  from.at("temperature").get_to(s.temperature);
  from.at("top_k").get_to(s.top_k);
  from.at("top_p").get_to(s.top_p);
  from.at("min_p").get_to(s.min_p);
  from.at("repetition").get_to(s.repetition_penalty);
  from.at("presence").get_to(s.presence_penalty);
  from.at("frequency").get_to(s.frequency_penalty);
  s.logit_bias = unpacked<LogitBias>(from.at("bias"));
  from.at("seed").get_to(s.seed);
  from.at("max_tokens").get_to(s.max_tokens);
  from.at("min_tokens").get_to(s.min_tokens);
  from.at("ignore_eos").get_to(s.ignore_eos);
  s.stop_ids = unpacked<TokenId>(from.at("stop_ids"));
  from.at("stop").get_to(s.stop);
  if (!from.at("logprobs").is_null()) {
    s.logprobs = from.at("logprobs").get<int>();
  }
  return s;
}

json item_json(const BatchItem& item) {
  const BatchRequest& request = item.request;
  return {{"id", request.custom_id},
          {"line", request.line},
          {"chat", request.api == BatchApi::chat},
          {"samples", request.samples},
          {"sampling", sampling_json(request.sampling)},
          {"prompt", packed<TokenId>(item.prompt)},
          {"hash", item.hash},
          {"again", item.again}};
}

BatchItem item_from(const json& from) {
  BatchItem item;
  from.at("id").get_to(item.request.custom_id);
  from.at("line").get_to(item.request.line);
  item.request.api = from.at("chat").get<bool>() ? BatchApi::chat : BatchApi::completion;
  from.at("samples").get_to(item.request.samples);
  item.request.sampling = sampling_from(from.at("sampling"));
  item.prompt = unpacked<TokenId>(from.at("prompt"));
  from.at("hash").get_to(item.hash);
  from.at("again").get_to(item.again);
  return item;
}

json outcome_json(const BatchOutcome& outcome) {
  return {{"kind", outcome.kind},
          {"id", outcome.mark.id},
          {"request", outcome.mark.request},
          {"error", outcome.mark.error},
          {"record", outcome.record},
          {"again", outcome.again},
          {"samples", outcome.samples},
          {"prompt_tokens", outcome.prompt_tokens},
          {"output_tokens", outcome.output_tokens},
          {"seconds", outcome.seconds},
          {"first", outcome.first_token_seconds}};
}

BatchOutcome outcome_from(const json& from) {
  BatchOutcome outcome;
  from.at("kind").get_to(outcome.kind);
  from.at("id").get_to(outcome.mark.id);
  from.at("request").get_to(outcome.mark.request);
  from.at("error").get_to(outcome.mark.error);
  from.at("record").get_to(outcome.record);
  from.at("again").get_to(outcome.again);
  from.at("samples").get_to(outcome.samples);
  from.at("prompt_tokens").get_to(outcome.prompt_tokens);
  from.at("output_tokens").get_to(outcome.output_tokens);
  from.at("seconds").get_to(outcome.seconds);
  from.at("first").get_to(outcome.first_token_seconds);
  return outcome;
}

std::string packed_letter(const json& letter) {
  std::string text;
  json::to_msgpack(letter, text);
  return text;
}

template <typename Read>
auto read(const std::string& text, const Read& from) {
  try {
    return from(json::from_msgpack(text));
  } catch (const json::exception& error) {
    throw Error(fmt::format("a letter between replicas cannot be read: {}", error.what()));
  }
}

}  // namespace

std::string text_of(const DeskLetter& letter) {
  return packed_letter({{"item", letter.item ? item_json(*letter.item) : json()},
                        {"word", letter.word ? json(*letter.word) : json()}});
}

DeskLetter desk_letter(const std::string& text) {
  return read(text, [](const json& from) {
    DeskLetter letter;
    if (!from.at("item").is_null()) {
      letter.item = item_from(from.at("item"));
    }
    if (!from.at("word").is_null()) {
      letter.word = from.at("word").get<DeskWord>();
    }
    return letter;
  });
}

std::string text_of(const ReplicaNews& news) {
  json outcomes = json::array();
  for (const BatchOutcome& outcome : news.outcomes) {
    outcomes.push_back(outcome_json(outcome));
  }
  return packed_letter({{"state", packed<ReplicaState>(std::span(&news.state, 1))},
                        {"outcomes", std::move(outcomes)},
                        {"signal", news.signal ? json(*news.signal) : json()},
                        {"failure", news.failure},
                        {"gone", news.gone}});
}

ReplicaNews replica_news(const std::string& text) {
  return read(text, [](const json& from) {
    ReplicaNews news;
    const auto states = unpacked<ReplicaState>(from.at("state"));
    if (states.size() != 1) {
      throw Error("a letter between replicas cannot be read: it has another form");
    }
    news.state = states.front();
    for (const json& outcome : from.at("outcomes")) {
      news.outcomes.push_back(outcome_from(outcome));
    }
    if (!from.at("signal").is_null()) {
      news.signal = from.at("signal").get<int>();
    }
    from.at("failure").get_to(news.failure);
    from.at("gone").get_to(news.gone);
    return news;
  });
}

}  // namespace tutti
