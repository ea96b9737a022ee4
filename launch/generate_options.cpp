#include "launch/generate_options.hpp"

#include "launch/sampling_options.hpp"

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
  OptionGroup group{.title = "Answer", .options = sampling_option_specs()};
  group.options.push_back(
      {.name = "logprobs",
       .value = "N",
       .help = "Report log probabilities and N alternatives of each token; wants --json"});
  group.options.push_back(
      {.name = "json", .value = "", .help = "One JSON object per answer, one per line"});
  return group;
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
