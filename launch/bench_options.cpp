#include "launch/bench_options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace tutti {
namespace {

OptionGroup scaling_group() {
  return {.title = "Scaling",
          .options = {
              {.name = "counts",
               .value = "N,…",
               .help = "Numbers of ranks to measure (default: 1, 2, 3, … all)"},
              {.name = "replicas",
               .value = "",
               .help = "Fill the ranks that a count leaves idle with independent replicas, in rows "
                       "of their own: '2 x 2' beside '4'"},
              {.name = "price-per-gpu-hour",
               .value = "P",
               .help = "For cost in money (default: cost in GPU hours)"},
              {.name = "units-per-gpu-hour",
               .value = "U",
               .help = "For cost in service units of the cluster"},
              {.name = "out",
               .value = "FOLDER",
               .help = "Where scaling.json, .csv, .svg and .html go",
               .fallback = "scaling"},
          }};
}

ScalingPrice price_of(const ParsedOptions& parsed) {
  constexpr double kLeast = 1e-9;
  constexpr double kMost = 1e9;
  if (parsed.given("price-per-gpu-hour") && parsed.given("units-per-gpu-hour")) {
    throw UsageError("--price-per-gpu-hour and --units-per-gpu-hour: give one of them");
  }
  if (parsed.given("price-per-gpu-hour")) {
    return {.per_gpu_hour = parsed.real("price-per-gpu-hour", kLeast, kMost), .unit = ""};
  }
  if (parsed.given("units-per-gpu-hour")) {
    return {.per_gpu_hour = parsed.real("units-per-gpu-hour", kLeast, kMost), .unit = "units"};
  }
  return {};
}

// As it could be given again, behind a launcher.
std::string command_of(const ParsedOptions& parsed) {
  std::string text = parsed.common_text();
  const std::string kind = " --KIND=scaling";
  if (const std::size_t at = text.find(kind); at != std::string::npos) {
    text.erase(at, kind.size());
  }
  const std::size_t name = std::string("bench").size();
  return fmt::format("tutti bench scaling {}{}", parsed.text("MODEL.h5"), text.substr(name));
}

}  // namespace

CommandSpec bench_spec() {
  return {
      .name = "bench",
      .summary = "Measure a model on these ranks (latency, throughput, scaling, load, collectives)",
      .synopsis = "KIND [MODEL.h5] [options]",
      .text =
          "latency: one request, or --batch of them together, with random prompt tokens. Time to\n"
          "the first token and time per token, against the read bandwidth and the library's "
          "matrix\n"
          "product measured in the same run, and the memory of each rank.\n"
          "throughput: many requests at once, as a batch job has them. Tokens per second, how "
          "busy\n"
          "the device is, and shares of what the library and the memory allow.\n"
          "scaling: both on 1, 2, 3, … of these ranks, one count after another: how many are best "
          "for\n"
          "speed, for latency and for cost. Table, JSON, CSV, plot and page go to --out.\n"
          "load: how fast the weights arrive, beside plain reading of as many bytes.\n"
          "collectives: what the exchanges between these ranks cost; wants no model.",
      .groups = {{.title = "Benchmark",
                  .options =
                      {
                          {.name = "batch",
                           .value = "N",
                           .help = "latency: requests that start together",
                           .fallback = "1"},
                          {.name = "prompt-tokens",
                           .value = "N",
                           .help = "latency: tokens of the prompt",
                           .fallback = "128"},
                          {.name = "new-tokens",
                           .value = "N",
                           .help = "latency: tokens of the answer",
                           .fallback = "128"},
                          {.name = "requests",
                           .value = "N",
                           .help = "throughput: how many; of --workload at most so many",
                           .fallback = "256"},
                          {.name = "input-tokens",
                           .value = "N",
                           .help = "throughput: tokens of each prompt",
                           .fallback = "128"},
                          {.name = "output-tokens",
                           .value = "N",
                           .help = "throughput: tokens of each answer",
                           .fallback = "128"},
                          {.name = "workload",
                           .value = "FILE",
                           .help = "throughput: prompts and lengths from a file, JSON lines or "
                                   "ShareGPT's array"},
                          {.name = "origin",
                           .value = "",
                           .help = "throughput: 59 requests, 800 new tokens, temperature 0.75, "
                                   "presence penalty 1.15, as the note that this began from"},
                          {.name = "max-running",
                           .value = "N",
                           .help = "throughput: most requests at the same time",
                           .fallback = "256"},
                          {.name = "repeats",
                           .value = "N",
                           .help = "Measured answers, after one to warm up",
                           .fallback = "5"},
                          {.name = "seed", .value = "N", .help = "Of the prompts", .fallback = "0"},
                          {.name = "json", .value = "", .help = "One JSON object"},
                      }},
                 scaling_group(),
                 session_option_group(),
                 message_option_group()},
      .operands = {"KIND", "MODEL.h5"},
      .optional_operands = 1,
      .examples = {"mpirun -n 2 tutti bench latency m.h5",
                   "tutti bench throughput m.h5 --requests 1000 --input-tokens 1000",
                   "tutti bench latency m.h5 --prompt-tokens 1024 --new-tokens 64 --json",
                   "mpirun -n 4 tutti bench scaling m.h5 --counts 1,2,4 --replicas "
                   "--price-per-gpu-hour 2.50"}};
}

LatencyOptions latency_options(const ParsedOptions& parsed) {
  constexpr std::int64_t kMostTokens = 1 << 20;
  LatencyOptions options;
  options.session = session_options(parsed);
  options.batch = static_cast<int>(parsed.integer("batch", 1, ModelLimits{}.max_logit_rows));
  options.prompt_tokens = static_cast<int>(parsed.integer("prompt-tokens", 1, kMostTokens));
  options.new_tokens = static_cast<int>(parsed.integer("new-tokens", 2, kMostTokens));
  options.repeats = static_cast<int>(parsed.integer("repeats", 1, 1000));
  options.seed = static_cast<std::uint64_t>(parsed.integer("seed", 0, 1LL << 62));
  options.json = parsed.flag("json");
  return options;
}

ThroughputOptions throughput_options(const ParsedOptions& parsed) {
  constexpr std::int64_t kMostTokens = 1 << 20;
  ThroughputOptions options;
  options.session = session_options(parsed);
  options.requests = static_cast<std::size_t>(parsed.integer("requests", 1, 1 << 24));
  options.input_tokens = static_cast<int>(parsed.integer("input-tokens", 1, kMostTokens));
  options.output_tokens = static_cast<int>(parsed.integer("output-tokens", 1, kMostTokens));
  options.repeats = static_cast<int>(parsed.integer("repeats", 1, 1000));
  options.seed = static_cast<std::uint64_t>(parsed.integer("seed", 0, 1LL << 62));
  options.json = parsed.flag("json");
  if (parsed.given("workload")) {
    options.workload = parsed.text("workload");
    if (parsed.given("input-tokens") || parsed.given("output-tokens") || parsed.flag("origin")) {
      throw UsageError("--workload brings its lengths: give no others, and no --origin");
    }
    options.requests = parsed.given("requests") ? options.requests : std::size_t{1} << 24;
  }
  if (parsed.flag("origin")) {
    if (parsed.given("requests") || parsed.given("output-tokens")) {
      throw UsageError("--origin is 59 requests of 800 new tokens: give no others");
    }
    options.requests = 59;
    options.output_tokens = 800;
    options.sampling.temperature = 0.75;
    options.sampling.presence_penalty = 1.15;
  }
  options.max_running = static_cast<int>(std::min<std::int64_t>(
      parsed.integer("max-running", 1, 4096), static_cast<std::int64_t>(options.requests)));
  return options;
}

LoadOptions load_options(const ParsedOptions& parsed) {
  LoadOptions options{.session = session_options(parsed),
                      .repeats = static_cast<int>(parsed.integer("repeats", 1, 1000)),
                      .json = parsed.flag("json")};
  if (options.session.random_weights) {
    throw UsageError("bench load reads a model file: --random-weights has none");
  }
  options.session.messages.quiet = true;  // each load would say the same
  return options;
}

ScalingOptions scaling_options(const ParsedOptions& parsed) {
  ScalingOptions options;
  options.throughput = throughput_options(parsed);
  options.latency = latency_options(parsed);
  options.throughput.ceilings = false;  // counts are compared with one another
  options.latency.ceilings = false;
  if (parsed.given("counts")) {
    options.counts = counts_from_text(parsed.text("counts"));
  }
  options.replicas = parsed.flag("replicas");
  options.price = price_of(parsed);
  options.out = parsed.text("out");
  options.command = command_of(parsed);
  return options;
}

std::vector<int> counts_from_text(const std::string& text) {
  std::vector<int> counts;
  const char* at = text.data();
  const char* const end = at + text.size();
  for (bool more = true; more;) {
    int count = 0;
    const auto [next, error] = std::from_chars(at, end, count);
    if (error != std::errc() || count < 1 || (next != end && *next != ',')) {
      throw UsageError(
          fmt::format("--counts wants numbers of ranks as in 1,2,4, found '{}'", text));
    }
    counts.push_back(count);
    more = next != end;
    at = next + (more ? 1 : 0);
  }
  std::sort(counts.begin(), counts.end());
  counts.erase(std::unique(counts.begin(), counts.end()), counts.end());
  return counts;
}

}  // namespace tutti
