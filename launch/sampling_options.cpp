#include "launch/sampling_options.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

#include "launch/escapes.hpp"

namespace tutti {
namespace {

// "17:-2.5,90:-inf"
void add_biases(const std::string& text, std::vector<LogitBias>& biases) {
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const char* const last = text.data() + end;
    LogitBias bias;
    const auto id = std::from_chars(text.data() + begin, last, bias.id);
    bool sound = id.ec == std::errc() && bias.id >= 0 && id.ptr != last && *id.ptr == ':';
    if (sound) {
      const auto number = std::from_chars(id.ptr + 1, last, bias.bias);
      sound = number.ec == std::errc() && number.ptr == last &&
              bias.bias < std::numeric_limits<float>::infinity();
    }
    if (!sound) {
      throw UsageError("--logit-bias wants ID:BIAS,... with a number or -inf as BIAS, found '" +
                       text + "'");
    }
    biases.push_back(bias);
    begin = end + 1;
  }
}

}  // namespace

std::vector<OptionSpec> sampling_option_specs() {
  return {
      {.name = "max-tokens",
       .short_name = 'n',
       .value = "N",
       .help = "Most tokens of one answer",
       .fallback = "256"},
      {.name = "min-tokens",
       .value = "N",
       .help = "The model cannot end an answer before N tokens; --stop can",
       .fallback = "0"},
      {.name = "temperature",
       .value = "T",
       .help = "0: always the likeliest token, the same on every run; else how freely to draw",
       .fallback = "0"},
      {.name = "top-k", .value = "K", .help = "Draw from the K likeliest; 0: all", .fallback = "0"},
      {.name = "top-p",
       .value = "P",
       .help = "Draw from the likeliest that reach probability P together",
       .fallback = "1"},
      {.name = "min-p",
       .value = "P",
       .help = "Drop what is less likely than P times the likeliest",
       .fallback = "0"},
      {.name = "repetition-penalty",
       .value = "R",
       .help = "Above 1: avoid tokens of prompt and answer",
       .fallback = "1"},
      {.name = "presence-penalty",
       .value = "P",
       .help = "Taken from the logits of tokens that stand in the answer; below 0: added",
       .fallback = "0"},
      {.name = "frequency-penalty",
       .value = "P",
       .help = "The same, for each time a token stands there",
       .fallback = "0"},
      {.name = "logit-bias",
       .value = "ID:BIAS,...",
       .help = "Added to the logits of these token ids (-inf: never); again for more",
       .fallback = {},
       .repeatable = true},
      {.name = "seed",
       .value = "N",
       .help = "Of the draw: the same seed, the same answer",
       .fallback = "0"},
      {.name = "stop",
       .value = "TEXT",
       .help = "End the answer before TEXT (knows \\n, \\t, \\xHH, ...); again for more",
       .fallback = {},
       .repeatable = true},
      {.name = "ignore-eos",
       .value = "",
       .help = "Go on where the model would end, up to --max-tokens"},
  };
}

SamplingOptions sampling_options(const ParsedOptions& parsed) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  SamplingOptions sampling;
  sampling.max_tokens = static_cast<int>(parsed.integer("max-tokens", 1, kMost));
  sampling.min_tokens = static_cast<int>(parsed.integer("min-tokens", 0, kMost));
  sampling.temperature = parsed.real("temperature", 0, 100);
  sampling.top_k = static_cast<int>(parsed.integer("top-k", 0, kMost));
  sampling.top_p = parsed.real("top-p", 1e-6, 1);
  sampling.min_p = parsed.real("min-p", 0, 1);
  sampling.repetition_penalty = parsed.real("repetition-penalty", 0.01, 100);
  sampling.presence_penalty = parsed.real("presence-penalty", -100, 100);
  sampling.frequency_penalty = parsed.real("frequency-penalty", -100, 100);
  for (const std::string& biases : parsed.texts("logit-bias")) {
    add_biases(biases, sampling.logit_bias);
  }
  sampling.seed = static_cast<std::uint64_t>(
      parsed.integer("seed", 0, std::numeric_limits<std::int64_t>::max()));
  sampling.ignore_eos = parsed.flag("ignore-eos");
  for (const std::string& stop : parsed.texts("stop")) {
    sampling.stop.push_back(unescape("stop", stop));
    if (stop.empty()) {
      throw UsageError("--stop wants a text, found an empty one");
    }
  }
  if (sampling.min_tokens > sampling.max_tokens) {
    throw UsageError("--min-tokens wants --max-tokens or less");
  }
  if (parsed.given("logprobs")) {
    sampling.logprobs = static_cast<int>(parsed.integer("logprobs", 0, kMostLogprobs));
  }
  return sampling;
}

}  // namespace tutti
