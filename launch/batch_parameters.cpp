#include "launch/batch_parameters.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <span>

#include "launch/sampling_options.hpp"
#include "launch/suggest.hpp"

namespace tutti {
namespace {

using nlohmann::json;

constexpr std::int64_t kMostTokens = std::numeric_limits<std::int32_t>::max();
constexpr std::size_t kMostStops = 16;

// A value as a message shows it: short, whatever it is.
std::string shown(const json& value) {
  if (value.is_structured()) {
    return value.is_array() ? "an array" : "an object";
  }
  std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
  constexpr std::size_t kLongest = 60;
  return text.size() > kLongest ? text.substr(0, kLongest) + "…" : text;
}

[[noreturn]] void refuse(std::string_view name, const std::string& wanted, const json& found) {
  throw RequestRefused("invalid_value",
                       fmt::format("'{}' wants {}, found {}", name, wanted, shown(found)));
}

double real(std::string_view name, const json& value, double least, double most) {
  if (!value.is_number() || !(value.get<double>() >= least && value.get<double>() <= most)) {
    refuse(name, fmt::format("a number from {} to {}", least, most), value);
  }
  return value.get<double>();
}

std::int64_t integer(std::string_view name, const json& value, std::int64_t least,
                     std::int64_t most) {
  const std::string wanted = fmt::format("an integer from {} to {}", least, most);
  if (value.is_number_unsigned() &&
      value.get<std::uint64_t>() >
          static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    refuse(name, wanted, value);
  }
  if (!value.is_number_integer() || value.get<std::int64_t>() < least ||
      value.get<std::int64_t>() > most) {
    refuse(name, wanted, value);
  }
  return value.get<std::int64_t>();
}

bool boolean(std::string_view name, const json& value) {
  if (!value.is_boolean()) {
    refuse(name, "true or false", value);
  }
  return value.get<bool>();
}

void add_stop(std::string_view name, const json& stop, BatchRequest& request) {
  if (!stop.is_string() || stop.get_ref<const std::string&>().empty()) {
    refuse(name, "a text that is not empty, or a list of them", stop);
  }
  request.sampling.stop.push_back(stop.get<std::string>());
}

// Values are never copied: they may be nested deeper than a recursive copy can go.
void set_stop(std::string_view name, const json& value, BatchRequest& request) {
  request.sampling.stop.clear();
  if (!value.is_array()) {
    add_stop(name, value, request);
    return;
  }
  if (value.size() > kMostStops) {
    throw RequestRefused("invalid_value", fmt::format("'{}' wants at most {} texts, found {}", name,
                                                      kMostStops, value.size()));
  }
  for (const json& stop : value) {
    add_stop(name, stop, request);
  }
}

void set_stop_ids(std::string_view name, const json& value, BatchRequest& request) {
  if (!value.is_array()) {
    refuse(name, "a list of token ids", value);
  }
  request.sampling.stop_ids.clear();
  for (const json& id : value) {
    request.sampling.stop_ids.push_back(static_cast<TokenId>(integer(name, id, 0, kMostTokens)));
  }
}

void set_logit_bias(std::string_view name, const json& value, BatchRequest& request) {
  if (!value.is_object()) {
    refuse(name, "an object of token ids and biases", value);
  }
  request.sampling.logit_bias.clear();
  for (const auto& [key, bias] : value.items()) {
    TokenId id = -1;
    const auto parsed = std::from_chars(key.data(), key.data() + key.size(), id);
    if (parsed.ec != std::errc() || parsed.ptr != key.data() + key.size() || id < 0) {
      refuse(name, "token ids as names", json(key));
    }
    constexpr double kMostBias = 100;
    request.sampling.logit_bias.push_back(
        {.id = id, .bias = static_cast<float>(real(name, bias, -kMostBias, kMostBias))});
  }
  std::sort(request.sampling.logit_bias.begin(), request.sampling.logit_bias.end(),
            [](const LogitBias& a, const LogitBias& b) { return a.id < b.id; });
}

// A completion says how many alternatives, a chat whether at all and how many by top_logprobs.
void set_logprobs(std::string_view name, const json& value, BatchRequest& request) {
  if (request.api == BatchApi::completion) {
    request.sampling.logprobs = static_cast<int>(integer(name, value, 0, kMostLogprobs));
  } else if (!boolean(name, value)) {
    request.sampling.logprobs.reset();
  } else if (!request.sampling.logprobs) {
    request.sampling.logprobs = 0;
  }
}

void set_top_logprobs(std::string_view name, const json& value, BatchRequest& request) {
  request.sampling.logprobs = static_cast<int>(integer(name, value, 0, kMostLogprobs));
}

// Parameters that ask for what there is not, with the one value that asks for nothing.
void want(std::string_view name, const json& value, const json& harmless, std::string_view why) {
  if (value != harmless) {
    throw RequestRefused("unsupported_parameter",
                         fmt::format("'{}' wants {} or nothing here, found {}: {}", name,
                                     harmless.dump(), shown(value), why));
  }
}

// batch_chat.cpp has read them.
void allow_tools(std::string_view name, const json& /*value*/, BatchRequest& request) {
  if (request.api == BatchApi::completion) {
    throw RequestRefused("unsupported_parameter", fmt::format("'{}' belongs to chats", name));
  }
}

void set_tool_choice(std::string_view name, const json& value, BatchRequest& request) {
  allow_tools(name, value, request);
  if (value == "none") {
    request.tools.clear();
  } else if (value != "auto") {
    throw RequestRefused(
        "unsupported_parameter",
        fmt::format("'{}' wants \"auto\" or \"none\" here, found {}: an answer is text, no call "
                    "can be forced",
                    name, shown(value)));
  }
}

using Apply = void (*)(std::string_view name, const json& value, BatchRequest& request);

struct Parameter {
  std::string_view name;
  Apply apply;
};

constexpr auto kNothing = [](std::string_view, const json&, BatchRequest&) {};
constexpr auto kMaxTokens = [](std::string_view n, const json& v, BatchRequest& r) {
  r.sampling.max_tokens = static_cast<int>(integer(n, v, 1, kMostTokens));
};

constexpr Parameter kParameters[] = {
    {"max_tokens", kMaxTokens},
    {"max_completion_tokens", kMaxTokens},
    {"min_tokens",
     [](auto n, const json& v, BatchRequest& r) {
       r.sampling.min_tokens = static_cast<int>(integer(n, v, 0, kMostTokens));
     }},
    {"temperature",
     [](auto n, const json& v, BatchRequest& r) { r.sampling.temperature = real(n, v, 0, 2); }},
    {"top_p",  // OpenAI's 0 means the likeliest only
     [](auto n, const json& v, BatchRequest& r) {
       r.sampling.top_p = std::max(1e-6, real(n, v, 0, 1));
     }},
    {"top_k",  // -1 is usual for "all"
     [](auto n, const json& v, BatchRequest& r) {
       r.sampling.top_k =
           static_cast<int>(std::max<std::int64_t>(0, integer(n, v, -1, kMostTokens)));
     }},
    {"min_p", [](auto n, const json& v, BatchRequest& r) { r.sampling.min_p = real(n, v, 0, 1); }},
    {"n", [](auto n, const json& v,
             BatchRequest& r) { r.samples = static_cast<int>(integer(n, v, 1, 128)); }},
    {"stop", set_stop},
    {"stop_token_ids", set_stop_ids},
    {"seed",
     [](auto n, const json& v, BatchRequest& r) {
       r.sampling.seed =
           static_cast<std::uint64_t>(integer(n, v, std::numeric_limits<std::int64_t>::min(),
                                              std::numeric_limits<std::int64_t>::max()));
     }},
    {"presence_penalty", [](auto n, const json& v,
                            BatchRequest& r) { r.sampling.presence_penalty = real(n, v, -2, 2); }},
    {"frequency_penalty",
     [](auto n, const json& v, BatchRequest& r) {
       r.sampling.frequency_penalty = real(n, v, -2, 2);
     }},
    {"repetition_penalty",
     [](auto n, const json& v, BatchRequest& r) {
       r.sampling.repetition_penalty = real(n, v, 0.01, 100);
     }},
    {"logit_bias", set_logit_bias},
    {"top_logprobs", set_top_logprobs},  // before logprobs, which may switch both off
    {"logprobs", set_logprobs},
    {"ignore_eos",
     [](auto n, const json& v, BatchRequest& r) { r.sampling.ignore_eos = boolean(n, v); }},
    {"stream", [](auto n, const json& v,
                  BatchRequest&) { want(n, v, false, "an answer is written when it is whole"); }},
    {"echo", [](auto n, const json& v,
                BatchRequest&) { want(n, v, false, "prompts are not scored or repeated"); }},
    {"best_of", [](auto n, const json& v,
                   BatchRequest&) { want(n, v, 1, "every sample is written, see 'n'"); }},
    {"response_format",
     [](auto n, const json& v, BatchRequest&) {
       want(n, v, {{"type", "text"}}, "answers are text");
     }},
    {"tools", allow_tools},
    {"tool_choice", set_tool_choice},
    {"parallel_tool_calls",
     [](auto n, const json& v, BatchRequest&) { want(n, v, true, "calls are not counted"); }},
    // What changes nothing about an answer.
    {"model", kNothing},
    {"user", kNothing},
    {"metadata", kNothing},
    {"store", kNothing},
    {"service_tier", kNothing},
    {"stream_options", kNothing},
};

const Parameter* parameter_named(std::string_view name) {
  const auto found = std::find_if(std::begin(kParameters), std::end(kParameters),
                                  [&](const Parameter& p) { return p.name == name; });
  return found == std::end(kParameters) ? nullptr : found;
}

void refuse_unknown(const json& body, std::initializer_list<std::string_view> taken) {
  for (const auto& [name, value] : body.items()) {
    if (value.is_null() || parameter_named(name) != nullptr ||
        std::find(taken.begin(), taken.end(), name) != taken.end()) {
      continue;
    }
    std::vector<std::string> known;
    for (const Parameter& parameter : kParameters) {
      known.emplace_back(parameter.name);
    }
    const std::string meant = nearest(name, known);
    throw RequestRefused(
        "unknown_parameter",
        fmt::format("{} is no parameter of a request{}", shown(json(name)),
                    meant.empty() ? "" : fmt::format(", did you mean '{}'?", meant)));
  }
}

}  // namespace

void apply_parameters(const json& body, std::initializer_list<std::string_view> taken,
                      BatchRequest& request) {
  refuse_unknown(body, taken);
  for (const Parameter& parameter : kParameters) {
    const auto found = body.find(parameter.name);
    if (found != body.end() && !found->is_null()) {
      parameter.apply(parameter.name, *found, request);
    }
  }
  const auto given = [&](const char* name) {
    const auto found = body.find(name);
    return found != body.end() && !found->is_null();
  };
  if (request.api == BatchApi::completion && given("top_logprobs")) {
    throw RequestRefused("unsupported_parameter",
                         "'top_logprobs' belongs to chats: a completion says how many by "
                         "'logprobs'");
  }
  if (given("top_logprobs") && !(given("logprobs") && body["logprobs"].get<bool>())) {
    throw RequestRefused("invalid_value", "'top_logprobs' wants 'logprobs': true beside it");
  }
  if (request.sampling.min_tokens > request.sampling.max_tokens) {
    throw RequestRefused("invalid_value",
                         fmt::format("'min_tokens' wants 'max_tokens' ({}) or less, found {}",
                                     request.sampling.max_tokens, request.sampling.min_tokens));
  }
}

}  // namespace tutti
