// tutti plan: will it fit, on how many GPUs, and how fast, before anything is downloaded or queued.
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <nlohmann/json.hpp>

#include "kernels/error.hpp"
#include "launch/commands.hpp"
#include "launch/expected_model.hpp"
#include "launch/message_options.hpp"
#include "launch/output.hpp"
#include "launch/plan_report.hpp"
#include "launch/threads.hpp"
#include "launch/together.hpp"
#include "runtime/comm/mpi_control_plane.hpp"

namespace tutti {
namespace {

OptionGroup device_group() {
  return {
      .title = "Devices",
      .options = {
          {.name = "ranks",
           .value = "N[,N…]",
           .help = "Numbers of ranks, one GPU each (default: 1 to 16, and the fewest that fit)"},
          {.name = "gpu",
           .value = "KIND",
           .help = "h100-80, h200, a100-40, a100-80, a10, l40s, …, or host for CPUs; without "
                   "it the known kinds are compared"},
          {.name = "device-memory",
           .value = "SIZE",
           .help = "Memory of one rank's device, as 40GiB; over that of --gpu"},
          {.name = "gpu-memory-fraction",
           .value = "F",
           .help = "Share of a GPU's memory to fill, as of a run",
           .fallback = "0.9"},
          {.name = "gpus-per-node",
           .value = "N",
           .help = "More ranks than so many talk over the network",
           .fallback = "8"},
          {.name = "threads",
           .value = "N",
           .help = "Threads of a rank on CPUs (default: those of this process)",
           .may_differ = true}}};
}

OptionGroup load_group() {
  return {.title = "Load",
          .options = {
              {.name = "context",
               .value = "N",
               .help = "Tokens of one sequence, prompt and answer (default: the model's context)"},
              {.name = "batch",
               .value = "N",
               .help = "Sequences that run at the same time",
               .fallback = "1"},
              {.name = "dtype",
               .value = "T",
               .help = "Of the weights: f32, f16 or bf16 (default: the model's own; shapes bf16)"},
              {.name = "kv-dtype",
               .value = "T",
               .help = "Of keys and values (default: as a run has them, the weights' type on GPUs, "
                       "f32 on CPUs)"},
              expect_option(),
              {.name = "prompt-tokens",
               .value = "N",
               .help = "Predicted requests: tokens of a prompt",
               .fallback = "128"},
              {.name = "new-tokens",
               .value = "N",
               .help = "Predicted requests: tokens of an answer",
               .fallback = "128"}}};
}

OptionGroup prediction_group() {
  return {.title = "Prediction",
          .options = {{.name = "set",
                       .value = "NAME=VALUE",
                       .help = "A constant of the prediction, as listed below the tables; again "
                               "for more",
                       .repeatable = true},
                      {.name = "calibrate",
                       .value = "FILE",
                       .help = "Constants from a report of 'tutti bench latency --json' or 'tutti "
                               "bench collectives --json'; again for more",
                       .repeatable = true},
                      {.name = "json", .value = "", .help = "One JSON object"}}};
}

CommandSpec plan_spec() {
  return {
      .name = "plan",
      .summary = "Does a model fit, on how many GPUs, and how fast: no GPU, no download needed",
      .synopsis = "MODEL [options]",
      .text =
          "MODEL is a model file, a Hugging Face folder or its config.json, a GGUF file, or a\n"
          "shape: llama-2-70b or a JSON file as in models/shapes. Prints for each number of ranks\n"
          "what every rank holds and what is left, and the predicted speed. Exit code 0 where one\n"
          "of the numbers fits, 4 where none does.",
      .groups = {device_group(), load_group(), prediction_group(), message_option_group()},
      .operands = {"MODEL"},
      .examples = {"tutti plan llama-2-70b --gpu a100-40",
                   "tutti plan ./Llama-3-70B/config.json --ranks 2,3,4 --gpu h100-80 --batch 64",
                   "tutti plan m.h5 --gpu h200 --calibrate latency.json --json"}};
}

std::vector<int> rank_counts(const std::string& text) {
  constexpr int kMost = 1 << 16;
  std::vector<int> counts;
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  while (true) {
    int count = 0;
    const auto [next, error] = std::from_chars(at, end, count);
    const bool separated = next == end || (*next == ',' && next + 1 != end);
    if (error != std::errc() || count < 1 || count > kMost || !separated) {
      throw UsageError(fmt::format(
          "--ranks wants a number of ranks or a list of them, as 1,2,4, found '{}'", text));
    }
    counts.push_back(count);
    if (next == end) {
      return counts;
    }
    at = next + 1;
  }
}

std::optional<DType> dtype_option(const ParsedOptions& parsed, const std::string& name) {
  const std::array<std::string, 3> known = {"f32", "f16", "bf16"};
  return parsed.given(name) ? dtype_from_name(parsed.choice(name, known)) : std::nullopt;
}

void read_load(const ParsedOptions& parsed, PlanQuestion& question) {
  constexpr std::int64_t kMostTokens = 1 << 30;
  constexpr std::int64_t kMostAsked = std::int64_t{1} << 36;  // their bytes stay within 63 bits
  const std::int64_t own = question.model.spec.context_length;
  question.context = parsed.given("context") ? parsed.integer("context", 2, kMostTokens) : own;
  if (question.context > own && question.model.kind != PlannedModel::Kind::shape) {
    throw ConfigError(fmt::format("--context wants {} tokens, {} was made for {} at most",
                                  question.context, question.model.name, own));
  }
  question.batch = parsed.integer("batch", 1, 1 << 16);
  if (question.batch > kMostAsked / question.context) {
    throw ConfigError(fmt::format("--batch {} of --context {} are more tokens than any cache holds",
                                  question.batch, question.context));
  }
  question.kv = dtype_option(parsed, "kv-dtype");
  question.prompt_tokens = parsed.integer("prompt-tokens", 1, kMostTokens);
  question.new_tokens = parsed.integer("new-tokens", 1, kMostTokens);
  if (question.prompt_tokens + question.new_tokens > question.context) {
    if (parsed.given("prompt-tokens") || parsed.given("new-tokens")) {
      throw ConfigError(
          fmt::format("--prompt-tokens {} and --new-tokens {} want {} tokens, the context is {}",
                      question.prompt_tokens, question.new_tokens,
                      question.prompt_tokens + question.new_tokens, question.context));
    }
    question.new_tokens = question.context / 2;
    question.prompt_tokens = question.context - question.new_tokens;
  }
}

PlanQuestion plan_question(const ParsedOptions& parsed) {
  PlanQuestion question{.model =
                            planned_model(parsed.text("MODEL"), dtype_option(parsed, "dtype"))};
  read_load(parsed, question);
  if (parsed.given("ranks")) {
    question.ranks = rank_counts(parsed.text("ranks"));
  }
  if (parsed.given("device-memory")) {
    question.device_bytes = parse_memory(parsed.text("device-memory"));
  }
  question.memory_fraction = parsed.real("gpu-memory-fraction", 0.01, 1);
  question.gpus_per_node = static_cast<int>(parsed.integer("gpus-per-node", 1, 1 << 16));
  question.threads = parsed.given("threads") ? static_cast<int>(parsed.integer("threads", 1, 4096))
                                             : static_cast<int>(allowed_cpus().size());
  question.constants = parsed.texts("set");
  question.calibrations = parsed.texts("calibrate");
  return question;
}

void check_identity(const ParsedOptions& parsed, const PlannedModel& model) {
  if (!parsed.given("expect")) {
    return;
  }
  const std::string wanted = expected_fingerprint(parsed);
  if (model.kind != PlannedModel::Kind::model_file) {
    throw UsageError(fmt::format("--expect is of model files, which have a fingerprint; '{}' is {}",
                                 parsed.text("MODEL"), kind_text(model.kind)));
  }
  require_expected(parsed.text("MODEL"), model.fingerprint, model.name, wanted);
}

// A device of which nothing is known but its memory.
GpuKind unknown_kind() {
  return {.name = "device",
          .title = "a GPU of your own (--device-memory)",
          .source = "by --set",
          .link = Link::plain};
}

void refuse_shortfall(const PlanQuestion& question, const std::vector<DevicePlan>& plans) {
  std::string text;
  for (const DevicePlan& plan : plans) {
    if (plan.fits()) {
      return;
    }
    text += (text.empty() ? "" : "\n") + plan_shortfall(question, plan);
  }
  throw CapacityError(text);
}

void compare_kinds(const PlanQuestion& question, const std::vector<GpuKind>& kinds, bool json) {
  std::vector<DevicePlan> plans;
  for (const GpuKind& kind : kinds) {
    if (!kind.host) {
      plans.push_back(plan_on(question, kind));
    }
  }
  write_result(json ? kinds_json(question, plans).dump(2) + "\n" : kinds_text(question, plans));
  refuse_shortfall(question, plans);
}

void plan(const ParsedOptions& parsed) {
  const std::vector<GpuKind> kinds = load_gpus(gpus_file());
  const bool named = parsed.given("gpu");
  GpuKind kind = named ? gpu_named(kinds, parsed.text("gpu")) : unknown_kind();
  const PlanQuestion question = plan_question(parsed);
  check_identity(parsed, question.model);
  const bool json = parsed.flag("json");
  if (!named && !question.device_bytes) {
    if (!question.constants.empty() || !question.calibrations.empty()) {
      throw UsageError("--set and --calibrate are of one kind of device: say which by --gpu");
    }
    compare_kinds(question, kinds, json);
    return;
  }
  if (kind.host && !question.device_bytes) {
    throw UsageError("--gpu host wants --device-memory: what one rank may fill");
  }
  const DevicePlan answer = plan_on(question, kind);
  write_result(json ? plan_json(question, answer).dump(2) + "\n" : plan_text(question, answer));
  refuse_shortfall(question, {answer});
}

ExitCode run(const MpiSession& mpi, const ParsedOptions& parsed) {
  MpiControlPlane control(mpi.world());
  on_root(control, [&] { plan(parsed); });
  return ExitCode::fine;
}

}  // namespace

Command plan_command() {
  return {.spec = plan_spec(), .run = run};
}

}  // namespace tutti
