#include "launch/generate_options.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

#include "launch/escapes.hpp"

namespace tutti {
namespace {

OptionGroup prompt_group() {
  return {
      .title = "Prompt (none of them: standard input, or a chat where a person types)",
      .options = {
          {.name = "prompt",
           .short_name = 'p',
           .value = "TEXT",
           .help = "Prompt; again for more, answered in this order",
           .fallback = {},
           .repeatable = true},
          {.name = "prompt-file",
           .short_name = 'f',
           .value = "FILE",
           .help = "A whole file as one prompt; again for more, answered after all --prompt",
           .fallback = {},
           .repeatable = true},
          {.name = "interactive",
           .short_name = 'i',
           .value = "",
           .help = "Answer standard input line by line; Ctrl-C stops an answer, Ctrl-D leaves"},
          {.name = "chat",
           .value = "",
           .help = "Prompts are what a user says in a chat (default: in interactive use only)"},
          {.name = "no-chat", .value = "", .help = "Prompts are the beginning of a text to go on"},
          {.name = "chat-format",
           .value = "NAME",
           .help = "chatml, llama-2, llama-3, mistral, gemma, zephyr or phi-3 (default: what the "
                   "model's template says); implies --chat"},
          {.name = "system", .value = "TEXT", .help = "What the system says first; implies --chat"},
      }};
}

OptionGroup sampling_group() {
  return {
      .title = "Answer",
      .options = {
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
          {.name = "top-k",
           .value = "K",
           .help = "Draw from the K likeliest; 0: all",
           .fallback = "0"},
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
          {.name = "logprobs",
           .value = "N",
           .help = "Report log probabilities and N alternatives of each token; wants --json"},
          {.name = "json", .value = "", .help = "One JSON object per answer, one per line"},
      }};
}

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

SamplingOptions sampling_options(const ParsedOptions& parsed) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  constexpr int kMostAlternatives = 20;
  SamplingOptions sampling;
  sampling.max_tokens = static_cast<int>(parsed.integer("max-tokens", 1, kMost));
  sampling.temperature = parsed.real("temperature", 0, 100);
  sampling.top_k = static_cast<int>(parsed.integer("top-k", 0, kMost));
  sampling.top_p = parsed.real("top-p", 1e-6, 1);
  sampling.min_p = parsed.real("min-p", 0, 1);
  sampling.min_tokens = static_cast<int>(parsed.integer("min-tokens", 0, kMost));
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
  if (parsed.given("logprobs")) {
    sampling.logprobs = static_cast<int>(parsed.integer("logprobs", 0, kMostAlternatives));
  }
  return sampling;
}

void refuse_contradictions(const ParsedOptions& parsed) {
  for (const char* chat : {"chat", "chat-format", "system"}) {
    if (parsed.flag("no-chat") && parsed.given(chat)) {
      throw UsageError(std::string("--no-chat and --") + chat + " exclude each other");
    }
  }
  if (parsed.given("logprobs") && !parsed.flag("json")) {
    throw UsageError("--logprobs wants --json, whose objects report them");
  }
  if (parsed.flag("interactive") && (parsed.given("prompt") || parsed.given("prompt-file"))) {
    throw UsageError("--interactive reads standard input: it excludes --prompt and --prompt-file");
  }
}

}  // namespace

CommandSpec generate_spec() {
  return {
      .name = "generate",
      .summary = "Answer a prompt, several prompts, or a person in a chat",
      .synopsis = "MODEL.h5 [options]",
      .text =
          "Text goes to standard output as it comes; what was loaded and how fast it went "
          "goes to\nstandard error. Without sampling options answers are greedy: the same "
          "on every run and on\nany number of ranks up to rounding. Only rank 0 reads "
          "standard input and prints.",
      .groups = {prompt_group(), sampling_group(), session_option_group(), message_option_group()},
      .operands = {"MODEL.h5"},
      .examples = {"mpirun -n 2 tutti generate m.h5 --chat --prompt 'What is MPI?'",
                   ("tutti generate m.h5 --prompt 'Once upon a time' --max-tokens 64 --seed 7 "
                    "--temperature 0.8"),
                   "tutti generate m.h5 < question.txt > answer.txt",
                   "mpirun -n 4 tutti generate m.h5                # a chat, at a terminal",
                   "srun --mpi=pmix -n 4 tutti generate m.h5 --expect 3f9a21c0 --json -p Hello"}};
}

GenerateOptions generate_options(const ParsedOptions& parsed) {
  refuse_contradictions(parsed);
  GenerateOptions options;
  options.session = session_options(parsed);
  options.sampling = sampling_options(parsed);
  options.prompts = parsed.texts("prompt");
  options.prompt_files = parsed.texts("prompt-file");
  options.interactive = parsed.flag("interactive");
  if (parsed.given("chat-format")) {
    options.chat_format = parsed.text("chat-format");
  }
  if (parsed.given("system")) {
    options.system = parsed.text("system");
  }
  if (parsed.flag("no-chat")) {
    options.chat = ChatMode::off;
  } else if (parsed.flag("chat") || parsed.given("chat-format") || parsed.given("system")) {
    options.chat = ChatMode::on;
  }
  options.json = parsed.flag("json");
  return options;
}

}  // namespace tutti
