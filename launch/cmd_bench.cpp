// tutti bench KIND: numbers, with the ceilings that they are to be held against.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "launch/bench_collectives.hpp"
#include "launch/bench_latency.hpp"
#include "launch/bench_load.hpp"
#include "launch/bench_throughput.hpp"
#include "launch/commands.hpp"
#include "launch/output.hpp"
#include "launch/suggest.hpp"

namespace tutti {
namespace {

const std::vector<std::string>& kinds() {
  static const std::vector<std::string> known = {"latency", "throughput", "load", "collectives"};
  return known;
}

CommandSpec bench_spec() {
  return {
      .name = "bench",
      .summary = "Measure a model on these ranks (latency, throughput, load, collectives)",
      .synopsis = "KIND [MODEL.h5] [options]",
      .text =
          "latency: one request, or --batch of them together, with random prompt tokens. Time to\n"
          "the first token and time per token, against the read bandwidth and the library's "
          "matrix\n"
          "product measured in the same run, and the memory of each rank.\n"
          "throughput: many requests at once, as a batch job has them. Tokens per second, how "
          "busy\n"
          "the device is, and shares of what the library and the memory allow.\n"
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
                 session_option_group(),
                 message_option_group()},
      .operands = {"KIND", "MODEL.h5"},
      .optional_operands = 1,
      .examples = {"mpirun -n 2 tutti bench latency m.h5",
                   "tutti bench throughput m.h5 --requests 1000 --input-tokens 1000",
                   "tutti bench latency m.h5 --prompt-tokens 1024 --new-tokens 64 --json"}};
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

ExitCode run_latency(const MpiSession& mpi, const ParsedOptions& parsed) {
  LatencyOptions options = latency_options(parsed);
  const bool quiet = options.session.messages.quiet;
  Session session(mpi, options.session);
  alike([&] {
    if (options.prompt_tokens + options.new_tokens > session.context()) {
      throw ConfigError(
          fmt::format("--prompt-tokens {} and --new-tokens {} want {} tokens, the context is {}",
                      options.prompt_tokens, options.new_tokens,
                      options.prompt_tokens + options.new_tokens, session.context()));
    }
  });
  if (session.root() && !quiet) {
    write_message("measuring: this takes a while\n");
  }
  const LatencyResult result = measure_latency(session, options);
  session.on_root([&] {
    write_result(options.json ? latency_json(session.facts(), options, result).dump(2) + "\n"
                              : latency_text(session.facts(), options, result));
  });
  session.close();
  return ExitCode::fine;
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

ExitCode run_throughput(const MpiSession& mpi, const ParsedOptions& parsed) {
  const ThroughputOptions options = throughput_options(parsed);
  Session session(mpi, options.session);
  if (session.root() && !options.session.messages.quiet) {
    write_message("measuring: this takes a while\n");
  }
  const ThroughputResult result = measure_throughput(session, options);
  session.on_root([&] {
    write_result(options.json ? throughput_json(session.facts(), options, result).dump(2) + "\n"
                              : throughput_text(session.facts(), options, result));
  });
  session.close();
  return ExitCode::fine;
}

ExitCode run_load(const MpiSession& mpi, const ParsedOptions& parsed) {
  LoadOptions options{.session = session_options(parsed),
                      .repeats = static_cast<int>(parsed.integer("repeats", 1, 1000)),
                      .json = parsed.flag("json")};
  if (options.session.random_weights) {
    throw UsageError("bench load reads a model file: --random-weights has none");
  }
  options.session.messages.quiet = true;  // each load would say the same
  Session session(mpi, options.session);
  const LoadResult result = measure_load(session, options);
  session.on_root([&] {
    write_result(options.json ? load_json(session.facts(), options, result).dump(2) + "\n"
                              : load_text(session.facts(), options, result));
  });
  session.close();
  return ExitCode::fine;
}

ExitCode run_collectives(const MpiSession& mpi, const ParsedOptions& parsed) {
  if (mpi.size() == 1) {
    throw UsageError("bench collectives wants two ranks or more: mpirun -n 2 tutti bench …");
  }
  MpiControlPlane control(mpi.world());
  const RankGrid grid({.replicas = 1, .stages = 1, .tensor_ranks = mpi.size()}, mpi.node_of_rank());
  RankDevice own = open_rank_device(device_wish(parsed), mpi, grid, control, 1);
  const std::vector<CollectiveCase> cases = usual_collective_cases(own.device->place());
  const std::vector<CollectiveTime> times =
      time_collectives(*own.communicator, control, *own.device, cases);
  on_root(control, [&] {
    write_result(parsed.flag("json")
                     ? collectives_json(own.backend, mpi.size(), times).dump(2) + "\n"
                     : collectives_text(own.backend, mpi.size(), times));
  });
  own.communicator->close();
  return ExitCode::fine;
}

ExitCode run(const MpiSession& mpi, const ParsedOptions& parsed) {
  const std::string& kind = parsed.text("KIND");
  if (kind == "collectives") {
    return run_collectives(mpi, parsed);
  }
  const bool known = std::find(kinds().begin(), kinds().end(), kind) != kinds().end();
  if (known && !parsed.given("MODEL.h5")) {
    throw UsageError(fmt::format(
        "'tutti bench {}' wants MODEL.h5: tutti bench {} MODEL.h5 [options]", kind, kind));
  }
  if (kind == "latency") {
    return run_latency(mpi, parsed);
  }
  if (kind == "throughput") {
    return run_throughput(mpi, parsed);
  }
  if (kind == "load") {
    return run_load(mpi, parsed);
  }
  const std::string meant = nearest(kind, kinds());
  throw UsageError(fmt::format("'{}' is no benchmark{}: known are {}", kind,
                               meant.empty() ? "" : fmt::format(", did you mean '{}'?", meant),
                               fmt::join(kinds(), ", ")));
}

}  // namespace

Command bench_command() {
  return {.spec = bench_spec(), .run = run};
}

}  // namespace tutti
