// tutti batch: a file of requests in, a record for each out, and nothing lost whatever ends it.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "launch/batch_options.hpp"
#include "launch/batch_report.hpp"
#include "launch/batch_run.hpp"
#include "launch/commands.hpp"
#include "launch/end_signals.hpp"
#include "launch/launch_check.hpp"
#include "launch/output.hpp"
#include "launch/time_limit.hpp"

namespace tutti {
namespace {

using Clock = std::chrono::steady_clock;

// Kept of a Slurm allocation for the way out: flushing, the report, the end of the ranks.
constexpr std::chrono::seconds kWayOut{10};
constexpr int kRunningOnHost = 64;
constexpr int kRunningOnGpu = 256;  // steps of so many cost little more than smaller ones

std::uint64_t available_bytes() {
  std::ifstream memory("/proc/meminfo");
  std::string word;
  while (memory >> word) {
    std::uint64_t kib = 0;
    if (word == "MemAvailable:" && memory >> kib) {
      return kib * 1024;
    }
  }
  return 0;
}

// Collective. On a GPU the cache takes what there is, and one whole sequence must fit. On hosts as
// many whole sequences as run at the same time, within a quarter of the memory that is free: what
// is short is shared, requests give way to one another.
std::int64_t choose_kv_tokens(Session& session, const MpiSession& mpi, const BatchOptions& options,
                              int running) {
  if (options.kv_tokens) {
    return *options.kv_tokens;
  }
  if (session.device().place() != Place::host) {
    return session.context();
  }
  const std::uint64_t room = available_bytes() / 4 / static_cast<std::uint64_t>(mpi.node_size());
  const auto tokens =
      static_cast<std::int64_t>(room / std::max<std::uint64_t>(1, session.kv_bytes_per_token()));
  const std::vector<std::int64_t> all = gather(session.control(), tokens);
  return std::max(session.context(),
                  std::min(*std::min_element(all.begin(), all.end()), running * session.context()));
}

// What the root holds besides the session; everything that may be wrong with the files is found
// before the model is loaded.
struct Desk {
  std::optional<BatchInput> input;
  std::unique_ptr<BatchOutput> output;
  std::optional<BatchEncoder> encoder;
  BatchModel model;
  std::optional<Clock::time_point> stop_at;
  std::int64_t began = 0;
};

void require_two_files(const BatchOptions& options) {
  std::error_code error;
  for (const std::string& other : {options.input, options.session.model.string()}) {
    if (std::filesystem::equivalent(options.output, other, error) && !error) {
      throw ConfigError(fmt::format("--output is the same file as {}: wanted another", other));
    }
  }
}

BatchEncoder make_encoder(const Session& session, const BatchOptions& options) {
  std::optional<ChatFormat> format;
  std::string why;
  if (!options.chat_format.empty()) {
    format = ChatFormat::by_name(options.chat_format);
  } else {
    try {
      format = ChatFormat::detect(session.model_to_run().tokenizer_assets());
    } catch (const ConfigError& error) {
      why = error.what();
    }
  }
  if (options.chat && !format) {
    throw ConfigError(why);
  }
  return {session.tokenizer(),
          std::move(format),
          why,
          {.context = session.context(), .vocabulary = session.tokenizer().vocabulary_size()}};
}

void tell_found(const BatchOutput& output, const std::string& path, bool quiet) {
  const FoundOutput& found = output.found();
  std::string text;
  if (output.lock() != nullptr && !output.lock()->taken_over().empty()) {
    text += fmt::format("tutti: warning: {} was left locked by {}, which is gone\n", path,
                        output.lock()->taken_over());
  }
  if (found.records > 0 && !quiet) {
    text += fmt::format("resuming {}: {} records are there\n", path, found.records);
  }
  if (found.torn_bytes > 0) {
    text += fmt::format(
        "tutti: warning: {}: cut {} bytes of a last line that was not written "
        "whole\n",
        path, found.torn_bytes);
  }
  if (found.damaged + found.superseded > 0) {
    text += fmt::format(
        "tutti: warning: {}: dropped {} damaged lines and {} records that had been "
        "answered again\n",
        path, found.damaged, found.superseded);
  }
  if (found.other_model > 0) {
    text += fmt::format(
        "tutti: warning: {}: {} records are another model's; their requests are "
        "answered again, and they are dropped at the end\n",
        path, found.other_model);
  }
  write_message(text);
}

void set_up(const Session& session, const BatchOptions& options, Desk& desk) {
  desk.began = std::chrono::duration_cast<std::chrono::seconds>(
                   std::chrono::system_clock::now().time_since_epoch())
                   .count();
  const auto now = Clock::now();
  if (options.time_limit) {
    desk.stop_at = now + *options.time_limit - options.grace;
  } else if (const auto left = slurm_time_left()) {
    desk.stop_at = now + *left - options.grace - kWayOut;
  }
  const ModelIdentity& identity = session.model_to_run().identity();
  desk.model = {.name = identity.name, .fingerprint = identity.fingerprint};
  desk.encoder.emplace(make_encoder(session, options));
  desk.input = BatchInput::open(options.input, options.shard);
  require_two_files(options);
  if (!options.report.empty()) {
    // Found out now, not tomorrow; and what a run that is killed leaves behind.
    replace_file(options.report, "{\"schema\": \"tutti-batch-report-1\", \"exit\": null}\n");
  }
  desk.output =
      std::make_unique<BatchOutput>(BatchOutputOptions{.path = options.output,
                                                       .existing = options.existing,
                                                       .flush = options.flush,
                                                       .fingerprint = identity.fingerprint,
                                                       .lock = {}});
  tell_found(*desk.output, options.output, options.session.messages.quiet);
}

BatchSourceOptions source_options(const BatchOptions& options, const BatchOutput& output) {
  return {.defaults = {.sampling = options.sampling,
                       .system = options.system,
                       .raw_text = options.text,
                       .raw_chat = options.chat},
          .shard = options.shard,
          .earlier = [&output](std::uint64_t id, std::uint64_t hash) {
            switch (output.known(id, hash)) {
              case BatchOutput::Known::same:
                return EarlierAnswer::same;
              case BatchOutput::Known::changed:
                return EarlierAnswer::other;
              case BatchOutput::Known::no:
                break;
            }
            return EarlierAnswer::none;
          }};
}

BatchEnd end_of(const BatchRun& run, const BatchStatus& status) {
  if (!run.stopped_by().empty() && (!status.left() || *status.left() > 0)) {
    return {.code = ExitCode::again, .reason = run.stopped_by()};
  }
  if (status.errors > 0 && status.answered + status.skipped == 0) {
    return {.code = ExitCode::failed, .reason = "every line was refused"};
  }
  return {.code = ExitCode::fine, .reason = "all answered"};
}

// On the root.
ExitCode work(Session& session, Engine& engine, const BatchOptions& options, Desk& desk,
              const std::vector<RankSeat>& seats) {
  BatchMonitor monitor({.style = options.session.messages.progress_style(),
                        .between_lines = options.between_lines,
                        .metrics = options.metrics},
                       desk.model);
  BatchSource source(std::move(*desk.input), *desk.encoder, source_options(options, *desk.output));
  BatchRun run(engine, session.control(), source, *desk.output, monitor, desk.model,
               [&session](TokenId id) {
                 return session.tokenizer().decode({&id, 1}, false);
               },
               {.stop_at = desk.stop_at, .grace = options.grace, .signal = EndSignals::came});
  const auto report = [&](const BatchEnd& end) {
    if (!options.report.empty()) {
      replace_file(
          options.report,
          batch_report(session, options, seats, desk.output->found(), run.status(), end, desk.began)
                  .dump(2, ' ', false, nlohmann::json::error_handler_t::replace) +
              "\n");
    }
  };
  try {
    run.run();
    desk.output->finish();
  } catch (const Error& error) {
    report({.code = failure_of(std::current_exception()).code, .reason = error.what()});
    throw;
  }
  const BatchStatus status = run.status();
  monitor.finish(status);
  const BatchEnd end = end_of(run, status);
  if (!options.session.messages.quiet) {
    write_message(status_summary(status));
  }
  if (end.code == ExitCode::again) {
    write_message(fmt::format(
        "ended early by {}: {} left; run the same command again\n", end.reason,
        status.left() ? fmt::format("{} requests", *status.left()) : std::string("requests")));
  }
  report(end);
  return end.code;
}

// Ranks other than the root pass their signals on to it.
void pass_signals_on(ControlPlane& control) {
  control.while_waiting([&control, told = false]() mutable {
    if (const auto signal = EndSignals::came(); signal && !told) {
      told = true;
      control.notify_root(*signal);
    }
  });
}

ExitCode run(const MpiSession& mpi, const ParsedOptions& parsed) {
  const BatchOptions options = batch_options(parsed);
  require_one_world(mpi, parsed.flag("alone"));
  const EndSignals signals;
  Session session(mpi, options.session);
  Desk desk;
  session.on_root([&] { set_up(session, options, desk); });
  if (!session.root()) {
    pass_signals_on(session.control());
  }
  const bool on_host = session.device().place() == Place::host;
  const int running = options.max_running.value_or(on_host ? kRunningOnHost : kRunningOnGpu);
  session.load(choose_kv_tokens(session, mpi, options, running), running);
  const std::vector<RankSeat> seats = gather_seats(session, mpi.host());
  ExitCode code = ExitCode::fine;
  mpi.state().end_with(static_cast<int>(ExitCode::again));  // what is answered is kept
  session.serve([&](Engine& engine) { code = work(session, engine, options, desk, seats); },
                {.prefix_caching = options.prefix_cache, .max_running = running});
  code = static_cast<ExitCode>(from_root(session.control(), static_cast<int>(code)));
  session.close();
  return code;
}

}  // namespace

Command batch_command() {
  return {.spec = batch_spec(), .run = run};
}

}  // namespace tutti
