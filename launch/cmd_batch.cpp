// tutti batch: a file of requests in, a record for each out, and nothing lost whatever ends it.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "launch/batch_crew.hpp"
#include "launch/batch_desk.hpp"
#include "launch/batch_options.hpp"
#include "launch/batch_report.hpp"
#include "launch/batch_worker.hpp"
#include "launch/commands.hpp"
#include "launch/end_signals.hpp"
#include "launch/launch_check.hpp"
#include "launch/output.hpp"
#include "launch/rank_threads.hpp"
#include "launch/replica_seat.hpp"
#include "launch/time_limit.hpp"
#include "runtime/comm/agreement.hpp"

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

// Samples that wait in an engine. Where several share the work, what one holds the others cannot
// take, and the last ones would be waited for.
std::size_t samples_ahead(int replicas, int running) {
  constexpr std::size_t kAlone = 256;
  constexpr int kAtLeast = 4;
  return replicas == 1 ? kAlone : static_cast<std::size_t>(std::max(kAtLeast, running / 4));
}

// Collective over the world. On a GPU the cache takes what there is, and one whole sequence must
// fit. On hosts as many whole sequences as run at the same time, within a quarter of the memory
// that is free: what is short is shared, requests give way to one another. The same in all
// replicas, so that none refuses what another takes.
std::int64_t choose_kv_tokens(Session& session, ControlPlane& world, int node_size,
                              const BatchOptions& options, int running) {
  if (options.kv_tokens) {
    return *options.kv_tokens;
  }
  if (session.device().place() != Place::host) {
    return session.context();
  }
  const std::uint64_t room = available_bytes() / 4 / static_cast<std::uint64_t>(node_size);
  const auto tokens =
      static_cast<std::int64_t>(room / std::max<std::uint64_t>(1, session.kv_bytes_per_token()));
  const std::vector<std::int64_t> all = gather(world, tokens);
  return std::max(session.context(),
                  std::min(*std::min_element(all.begin(), all.end()), running * session.context()));
}

// What the desk holds besides the session; everything that may be wrong with the files is found
// before the model is loaded.
struct Papers {
  std::optional<BatchInput> input;
  std::unique_ptr<BatchOutput> output;
  std::optional<BatchEncoder> encoder;
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
    } catch (const Error& error) {
      if (options.chat) {
        throw;
      }
      why = error.what();
    }
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

// What records say of the model that answered: the replica's own ranks and devices.
BatchModel model_of(const Session& session) {
  const ModelIdentity& identity = session.model_to_run().identity();
  return {.name = identity.name,
          .fingerprint = identity.fingerprint,
          .dtype = identity.dtype,
          .parameters = identity.parameters,
          .ranks = session.plan().ranks(),
          .devices = device_names(session.job().ranks)};
}

void set_up(const Session& session, const BatchOptions& options, Papers& papers) {
  papers.began = std::chrono::duration_cast<std::chrono::seconds>(
                     std::chrono::system_clock::now().time_since_epoch())
                     .count();
  const auto now = Clock::now();
  if (options.time_limit) {
    papers.stop_at = now + *options.time_limit - options.grace;
  } else if (const auto left = slurm_time_left()) {
    papers.stop_at = now + *left - options.grace - kWayOut;
  }
  const ModelIdentity& identity = session.model_to_run().identity();
  papers.encoder.emplace(make_encoder(session, options));
  papers.input = BatchInput::open(options.input, options.shard);
  require_two_files(options);
  if (!options.report.empty()) {
    // Found out now, not tomorrow; and what a run that is killed leaves behind.
    replace_file(options.report, "{\"schema\": \"tutti-batch-report-1\", \"exit\": null}\n");
  }
  papers.output =
      std::make_unique<BatchOutput>(BatchOutputOptions{.path = options.output,
                                                       .existing = options.existing,
                                                       .flush = options.flush,
                                                       .fingerprint = identity.fingerprint,
                                                       .lock = {}});
  tell_found(*papers.output, options.output, options.session.messages.quiet);
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

BatchEnd end_of(const BatchDesk& run, const BatchStatus& status) {
  if (!run.stopped_by().empty() && (!status.left() || *status.left() > 0)) {
    return {.code = ExitCode::again, .reason = run.stopped_by()};
  }
  if (status.errors > 0 && status.answered + status.skipped == 0) {
    return {.code = ExitCode::failed, .reason = "every line was refused"};
  }
  return {.code = ExitCode::fine, .reason = "all answered"};
}

// On the world's root, which is replica 0's too.
ExitCode work_at_desk(const Session& session, BatchCrew& crew, ControlPlane& control,
                      const BatchOptions& options, Papers& papers, const BatchModel& model,
                      const std::vector<RankPlace>& places, RankState& state) {
  BatchMonitor monitor({.style = options.session.messages.progress_style(),
                        .between_lines = options.between_lines,
                        .metrics = options.metrics},
                       model);
  BatchSource source(std::move(*papers.input), *papers.encoder,
                     source_options(options, *papers.output));
  BatchDesk desk(crew, control, source, *papers.output, monitor, model,
                 {.stop_at = papers.stop_at,
                  .grace = options.grace,
                  .signal = EndSignals::came,
                  .state = &state});
  const auto report = [&](const BatchEnd& end) {
    if (!options.report.empty()) {
      replace_file(options.report,
                   batch_report(session, options, places, papers.output->found(), desk.status(),
                                end, papers.began)
                           .dump(2, ' ', false, nlohmann::json::error_handler_t::replace) +
                       "\n");
    }
  };
  try {
    desk.run();
    papers.output->finish();
  } catch (const Error& error) {
    report({.code = failure_of(std::current_exception()).code, .reason = error.what()});
    throw;
  }
  const BatchStatus status = desk.status();
  monitor.finish(status);
  const BatchEnd end = end_of(desk, status);
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

// Of a copy of the model: where several share a node, they share its CPUs, and one of them speaks.
SessionOptions session_of(ReplicaSeat& seat, const MpiSession& mpi, SessionOptions options) {
  if (seat.replicas() > 1) {
    options.threads = threads_of_rank(seat.world(), mpi, options.threads).threads;
  }
  if (seat.replica() != 0) {
    options.messages = {.quiet = true, .progress = "none"};
  }
  return options;
}

// The same on every rank. Whichever replica answers, it must be the same answer, and no GPU may be
// two replicas'.
void check_replicas(ReplicaSeat& seat, const MpiSession& mpi, const Session& session,
                    const std::vector<RankPlace>& places) {
  alike([&] {
    require_agreement(seat.world(), "fingerprint", session.model_to_run().identity().fingerprint,
                      fmt::format("{}:{}", mpi.host(), session.options().model.string()));
    std::set<std::string> uuids;
    for (const RankPlace& rank : places) {
      if (rank.uuid.empty() != places.front().uuid.empty()) {
        throw ConfigError(fmt::format(
            "replicas compute on different kinds of devices, {} on {} and {} on {}: start ranks "
            "where GPUs are, or say --device host",
            places.front().device, places.front().host, rank.device, rank.host));
      }
      if (!rank.uuid.empty() && !uuids.insert(rank.uuid).second) {
        throw ConfigError(
            fmt::format("two replicas would share GPU {} on {}: start as many ranks "
                        "on a node as it has GPUs",
                        rank.uuid, rank.host));
      }
    }
  });
}

void tell_replicas(const ReplicaSeat& seat, const BatchOptions& options) {
  if (seat.desk() && seat.replicas() > 1 && !options.session.messages.quiet) {
    write_message(fmt::format("replicas {} of {} rank{} each share the work; the above is of one\n",
                              seat.replicas(), seat.tensor_ranks(),
                              seat.tensor_ranks() == 1 ? "" : "s"));
  }
}

ExitCode run(const MpiSession& mpi, const ParsedOptions& parsed) {
  const BatchOptions options = batch_options(parsed);
  require_one_world(mpi, parsed.flag("alone"));
  const EndSignals signals;
  ReplicaSeat seat(mpi, options.tensor_ranks);
  const SessionOptions session_options = session_of(seat, mpi, options.session);
  std::optional<Session> session;
  Papers papers;
  groups_together(seat.world(), mpi.host(), [&] {
    session.emplace(seat.ranks(), session_options);
    session->on_root([&] {
      if (seat.desk()) {
        set_up(*session, options, papers);
      }
    });
  });
  RankPlace place = place_of(mpi.host(), session->device());
  place.replica = seat.replica();
  const std::vector<RankPlace> places = gather_places(seat.world(), place);
  check_replicas(seat, mpi, *session, places);
  if (!session->root()) {
    pass_signals_on(session->control());
  }
  const bool on_host = session->device().place() == Place::host;
  const int running = options.max_running.value_or(on_host ? kRunningOnHost : kRunningOnGpu);
  const std::int64_t kv_tokens =
      choose_kv_tokens(*session, seat.world(), mpi.node_size(), options, running);
  groups_together(seat.world(), mpi.host(), [&] { session->load(kv_tokens, running); });
  tell_replicas(seat, options);
  ExitCode code = ExitCode::fine;
  const auto with_engine = [&](Engine& engine) {
    const BatchModel model = model_of(*session);
    const auto spell = [&](TokenId id) { return session->tokenizer().decode({&id, 1}, false); };
    BatchWorker worker(engine, model, spell, samples_ahead(seat.replicas(), running));
    if (seat.desk()) {
      BatchCrew crew(worker, &seat.mail(), seat.replicas());
      code = work_at_desk(*session, crew, session->control(), options, papers, model, places,
                          mpi.state());
    } else {
      attend_desk(worker, session->control(), seat.mail(), EndSignals::came, &mpi.state());
    }
  };
  mpi.state().end_with(static_cast<int>(ExitCode::again));  // what is answered is kept
  groups_together(seat.world(), mpi.host(), [&] {
    session->serve(with_engine, {.prefix_caching = options.prefix_cache, .max_running = running});
  });
  code = static_cast<ExitCode>(from_root(seat.world(), static_cast<int>(code)));
  session->close();
  return code;
}

}  // namespace

Command batch_command() {
  return {.spec = batch_spec(), .run = run};
}

}  // namespace tutti
