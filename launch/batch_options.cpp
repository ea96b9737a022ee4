#include "launch/batch_options.hpp"

#include <fmt/format.h>

#include <charconv>
#include <limits>

#include "launch/sampling_options.hpp"
#include "launch/time_limit.hpp"

namespace tutti {
namespace {

OptionGroup file_group() {
  return {
      .title = "Requests and answers",
      .options = {
          {.name = "input",
           .short_name = 'i',
           .value = "FILE",
           .help = "One request a line, as JSON; -: standard input"},
          {.name = "output",
           .short_name = 'o',
           .value = "FILE",
           .help = "One record a line, in the order in which requests end; -: standard output"},
          {.name = "shard",
           .value = "K/N",
           .help =
               "Answer only every N-th line, those numbered K, K+N, … from 0: one of N jobs that "
               "share an input, each with an output of its own"},
          {.name = "text", .value = "", .help = "Lines are prompts, not JSON"},
          {.name = "chat", .value = "", .help = "… and what a user says in a chat; wants --text"},
          {.name = "chat-format",
           .value = "NAME",
           .help = "chatml, llama-2, llama-3, mistral, gemma, zephyr or phi-3 (default: what the "
                   "model's template says)"},
          {.name = "system",
           .value = "TEXT",
           .help = "What the system says first in chats that do not bring it"},
          {.name = "no-resume",
           .value = "",
           .help = "Refuse an output that exists, instead of going on where it ends"},
          {.name = "overwrite", .value = "", .help = "Replace an output that exists"},
          {.name = "flush-seconds",
           .value = "S",
           .help = "Most seconds of work that a crash of the machine may cost; 0: none",
           .fallback = "5"},
      }};
}

OptionGroup run_group() {
  return {
      .title = "Run",
      .options = {
          {.name = "time-limit",
           .value = "TIME",
           .help = "Come to an end before so long (90, 15m, 2h, H:MM:SS, D-H:MM:SS; default: what "
                   "is left of the Slurm allocation); exit code 75"},
          {.name = "grace-seconds",
           .value = "S",
           .help = "What has begun gets so long when the run is told to end",
           .fallback = "20"},
          {.name = "tp",
           .value = "N",
           .help = "Ranks that hold the model together; the others hold copies of it that share "
                   "the work (default: all ranks one)"},
          {.name = "max-running",
           .value = "N",
           .help = "Most requests that run at the same time, on each copy of the model (default: "
                   "64, on GPUs 256)"},
          {.name = "kv-tokens",
           .value = "N",
           .help =
               "Tokens in the KV cache of each copy; on GPUs at the least (default: what memory "
               "allows)"},
          {.name = "no-prefix-cache",
           .value = "",
           .help = "Compute beginnings that prompts have in common once for each"},
          {.name = "progress-seconds",
           .value = "S",
           .help = "Between two lines of progress in a log",
           .fallback = "30"},
          {.name = "report",
           .value = "FILE",
           .help = "At the end, all about the run as one JSON object"},
          {.name = "metrics-file",
           .value = "FILE",
           .help = "Every few seconds, metrics as Prometheus' text format"},
      }};
}

OptionGroup answer_group() {
  OptionGroup group{.title = "Answer (where a line does not say it)",
                    .options = sampling_option_specs()};
  group.options.push_back({.name = "logprobs",
                           .value = "N",
                           .help = "Report log probabilities and N alternatives of each token"});
  return group;
}

void refuse_contradictions(const ParsedOptions& parsed) {
  for (const char* name : {"input", "output"}) {
    if (!parsed.given(name) || parsed.text(name).empty()) {
      throw UsageError(
          fmt::format("'tutti batch' wants --{} FILE (- for standard {})", name, name));
    }
  }
  if (parsed.flag("no-resume") && parsed.flag("overwrite")) {
    throw UsageError("--no-resume and --overwrite exclude each other");
  }
  if (parsed.flag("chat") && !parsed.flag("text")) {
    throw UsageError("--chat wants --text: a line of JSON says by itself whether it is a chat");
  }
}

}  // namespace

BatchShard parse_shard(const std::string& text) {
  constexpr std::int64_t kMost = 1'000'000;
  BatchShard shard;
  const char* const end = text.data() + text.size();
  const auto index = std::from_chars(text.data(), end, shard.index);
  const bool slash = index.ec == std::errc() && index.ptr != end && *index.ptr == '/';
  const auto count = slash ? std::from_chars(index.ptr + 1, end, shard.count) : index;
  if (!slash || count.ec != std::errc() || count.ptr != end || shard.index < 0 ||
      shard.index >= shard.count || shard.count > kMost) {
    throw UsageError(fmt::format(
        "--shard wants K/N with K from 0 to N-1, as 0/4, 1/4, 2/4, 3/4, found '{}'", text));
  }
  return shard;
}

CommandSpec batch_spec() {
  return {.name = "batch",
          .summary = "Answer a file of requests; run again, it goes on where it ended",
          .synopsis = "MODEL.h5 -i IN.jsonl -o OUT.jsonl [options]",
          .text =
              "Lines are requests of OpenAI's batch format, or plain: {\"prompt\": …} or "
              "{\"messages\": …}\nwith parameters beside it. Each gets one record in the output, "
              "an answer or an error.\nWhatever ends a run, the same command goes on where it "
              "ended: no request is lost, none is\nanswered twice. SIGTERM, SIGINT, SIGUSR1 or "
              "the time limit end it in order, with exit\ncode 75: run me again. docs/batch.md "
              "has the details.",
          .groups = {file_group(), answer_group(), run_group(), session_option_group(),
                     message_option_group()},
          .operands = {"MODEL.h5"},
          .examples = {"mpirun -n 4 tutti batch m.h5 -i prompts.jsonl -o answers.jsonl",
                       "mpirun -n 8 tutti batch m.h5 --tp 2 -i prompts.jsonl -o answers.jsonl",
                       "srun tutti batch m.h5 -i prompts.jsonl -o answers.jsonl --report run.json",
                       "srun tutti batch m.h5 -i prompts.jsonl -o answers-3.jsonl --shard 3/8",
                       "tutti batch m.h5 -i questions.txt --text --chat -o answers.jsonl -n 512",
                       "zcat prompts.jsonl.gz | tutti batch m.h5 -i - -o answers.jsonl"}};
}

BatchOptions batch_options(const ParsedOptions& parsed) {
  constexpr double kMostSeconds = 1e6;
  refuse_contradictions(parsed);
  const auto milliseconds = [&](const char* name) {
    constexpr double kPerSecond = 1000;
    return std::chrono::milliseconds(
        static_cast<std::int64_t>(parsed.real(name, 0, kMostSeconds) * kPerSecond));
  };
  const auto text_or_nothing = [&](const char* name) {
    return parsed.given(name) ? parsed.text(name) : std::string();
  };
  BatchOptions options;
  options.session = session_options(parsed);
  options.sampling = sampling_options(parsed);
  options.input = parsed.text("input");
  options.output = parsed.text("output");
  if (parsed.given("shard")) {
    options.shard = parse_shard(parsed.text("shard"));
  }
  options.text = parsed.flag("text");
  options.chat = parsed.flag("chat");
  options.chat_format = text_or_nothing("chat-format");
  options.system = text_or_nothing("system");
  options.existing = parsed.flag("overwrite")   ? ExistingOutput::replace
                     : parsed.flag("no-resume") ? ExistingOutput::refuse
                                                : ExistingOutput::resume;
  options.flush = milliseconds("flush-seconds");
  options.grace = milliseconds("grace-seconds");
  if (parsed.given("time-limit")) {
    options.time_limit = parse_duration(parsed.text("time-limit"));
    if (!options.time_limit) {
      throw UsageError(
          fmt::format("--time-limit wants a time as 90, 15m, 2h, H:MM:SS or D-H:MM:SS, found '{}'",
                      parsed.text("time-limit")));
    }
  }
  if (parsed.given("tp")) {
    constexpr std::int64_t kMostRanks = 1 << 20;
    options.tensor_ranks = static_cast<int>(parsed.integer("tp", 1, kMostRanks));
  }
  if (parsed.given("max-running")) {
    constexpr std::int64_t kMostRunning = 4096;
    options.max_running = static_cast<int>(parsed.integer("max-running", 1, kMostRunning));
  }
  if (parsed.given("kv-tokens")) {
    options.kv_tokens = parsed.integer("kv-tokens", 1, std::numeric_limits<std::int32_t>::max());
  }
  options.prefix_cache = !parsed.flag("no-prefix-cache");
  constexpr std::int64_t kDay = 86400;
  options.between_lines = std::chrono::seconds(parsed.integer("progress-seconds", 1, kDay));
  options.report = text_or_nothing("report");
  options.metrics = text_or_nothing("metrics-file");
  return options;
}

}  // namespace tutti
