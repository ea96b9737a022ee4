// tutti bench KIND: numbers, with the ceilings that they are to be held against.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "launch/bench_collectives.hpp"
#include "launch/bench_options.hpp"
#include "launch/commands.hpp"
#include "launch/launch_check.hpp"
#include "launch/output.hpp"
#include "launch/scaling_predict.hpp"
#include "launch/scaling_report.hpp"
#include "launch/suggest.hpp"

namespace tutti {
namespace {

const std::vector<std::string>& kinds() {
  static const std::vector<std::string> known = {"latency", "throughput", "scaling", "load",
                                                 "collectives"};
  return known;
}

ExitCode run_latency(const MpiSession& mpi, const ParsedOptions& parsed) {
  const LatencyOptions options = latency_options(parsed);
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

ExitCode run_scaling(const MpiSession& mpi, const ParsedOptions& parsed) {
  const ScalingOptions options = scaling_options(parsed);
  MpiControlPlane control(mpi.world());
  alike([&] { scaling_shapes(options, mpi.size()); });
  on_root(control, [&] { prepare_scaling_folder(options.out); });
  // Files grow row by row: what ends the job leaves what was measured.
  const auto on_row = [&](const ScalingReport& report) { write_scaling_files(report, options); };
  const ScalingReport report = measure_scaling(mpi, options, plan_predictions(options), on_row);
  on_root(control, [&] {
    write_result(options.throughput.json ? scaling_json_text(report, options)
                                         : scaling_text(report, options));
  });
  const bool any = std::any_of(report.rows.begin(), report.rows.end(),
                               [](const ScalingRow& row) { return row.fits(); });
  return from_root(control, any ? 1 : 0) != 0 ? ExitCode::fine : ExitCode::does_not_fit;
}

ExitCode run_load(const MpiSession& mpi, const ParsedOptions& parsed) {
  const LoadOptions options = load_options(parsed);
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
  const JobFacts job = {.ranks = gather_places(control, place_of(mpi.host(), *own.device)),
                        .communication = own.backend,
                        .libraries = library_versions(own.device->place() != Place::host),
                        .startup = {}};
  on_root(control, [&] {
    write_result(parsed.flag("json") ? collectives_json(job, times).dump(2) + "\n"
                                     : collectives_text(job, times));
  });
  own.communicator->close();
  return ExitCode::fine;
}

ExitCode run(const MpiSession& mpi, const ParsedOptions& parsed) {
  const std::string& kind = parsed.text("KIND");
  require_one_world(mpi, parsed.flag("alone"));
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
  if (kind == "scaling") {
    return run_scaling(mpi, parsed);
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
