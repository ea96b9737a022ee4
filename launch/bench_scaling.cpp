#include "launch/bench_scaling.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "launch/job_facts.hpp"
#include "launch/output.hpp"
#include "launch/rank_threads.hpp"
#include "launch/scaling_row.hpp"
#include "runtime/comm/agreement.hpp"
#include "runtime/shard/shard_plan.hpp"

namespace tutti {
namespace {

// What each rank of the world says once a row is over.
struct RankWord {
  std::string device;  // empty: idle
  std::string uuid;
  std::optional<Failure> failure;
};

std::vector<RankWord> exchange(ControlPlane& control, const RankWord& mine) {
  nlohmann::json json = {{"device", mine.device}, {"uuid", mine.uuid}};
  if (mine.failure) {
    json["code"] = static_cast<int>(mine.failure->code);
    json["message"] = mine.failure->message;
  }
  const std::string text = json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  std::vector<RankWord> words;
  for (const auto& bytes : control.all_gather(std::as_bytes(std::span(text)))) {
    const auto* begin = reinterpret_cast<const char*>(bytes.data());
    const auto one = nlohmann::json::parse(begin, begin + bytes.size());
    RankWord& word = words.emplace_back(
        RankWord{.device = one["device"], .uuid = one["uuid"], .failure = std::nullopt});
    if (one.contains("code")) {
      word.failure = Failure{static_cast<ExitCode>(one["code"].get<int>()), one["message"]};
    }
  }
  return words;
}

// The first failure that is more than a lack of room; those of a row are all ranks' alike.
void throw_what_ends_the_run(const std::vector<RankWord>& words) {
  std::set<std::string> uuids;
  for (const RankWord& word : words) {
    if (word.failure && word.failure->code != ExitCode::does_not_fit) {
      throw AgreedFailure(*word.failure);
    }
    if (!word.uuid.empty() && !uuids.insert(word.uuid).second) {
      throw AgreedFailure(
          {ExitCode::usage, fmt::format("two replicas would share GPU {}: start as many ranks on "
                                        "a node as it has GPUs",
                                        word.uuid)});
    }
  }
}

class ScalingRun {
 public:
  ScalingRun(const MpiRanks& world, const ScalingOptions& options, const Predict& predict)
      : world_(world), options_(options), predict_(predict), control_(world.group()) {}

  // Collective over the world: what would end the run is found before anything is measured.
  void prepare(const std::vector<ScalingShape>& shapes) {
    std::optional<ModelToRun> model;
    together(control_, world_.host(), [&] { model = open_model(shapes); });
    alike([&] {
      require_agreement(control_, "fingerprint", model->identity().fingerprint,
                        fmt::format("{}:{}", world_.host(), session().model.string()));
    });
    report_.model = model->identity();
    report_.architecture = model->spec().architecture;
    report_.devices.resize(static_cast<std::size_t>(world_.size()));
    report_.job.ranks = gather_places(
        control_,
        {.host = world_.host(), .device = {}, .uuid = {}, .cpus = cpu_list(allowed_cpus())});
    for (const RankPlace& place : report_.job.ranks) {
      report_.hosts.push_back(place.host);
    }
  }

  // Collective over the world.
  void add(const ScalingShape& shape) {
    const auto groups = scaling_groups(world_.node_of_rank(), shape);
    const int mine = groups[static_cast<std::size_t>(world_.rank())];
    ScalingRow row{.shape = shape};
    RankWord word;
    const MpiRanks active = world_.split(mine < 0 ? 1 : 0);
    if (mine >= 0) {
      ScalingMember member(active, mine, shape, options_);
      word.failure = member.measure(row);
      word.device = member.device();
      word.uuid = member.uuid();
      if (member.identity()) {
        report_.model = *member.identity();
      }
    }
    // Idle ranks wait here, looking now and then.
    const std::vector<RankWord> words = exchange(control_, word);
    throw_what_ends_the_run(words);
    for (std::size_t rank = 0; rank < words.size(); ++rank) {
      if (!words[rank].device.empty()) {
        report_.devices[rank] = words[rank].device;
        report_.job.ranks[rank].device = words[rank].device;
        report_.job.ranks[rank].uuid = words[rank].uuid;
      }
    }
    if (word.failure) {
      row = {.shape = shape, .why_not = word.failure->message};
    }
    if (predict_ && world_.rank() == 0) {
      row.predicted = predict_(shape.ranks, report_.devices[0]);
    }
    report_.job.libraries = library_versions(report_.on_gpus());
    report_.job.communication = row.fits() ? row.backend : report_.job.communication;
    report_.rows.push_back(std::move(row));
  }

  const ScalingReport& report() const { return report_; }

 private:
  const SessionOptions& session() const { return options_.throughput.session; }

  // Not collective. Errors: ConfigError, ModelFileError.
  ModelToRun open_model(const std::vector<ScalingShape>& shapes) const {
    ModelToRun model = session().random_weights
                           ? ModelToRun::from_shape(session().model.string(),
                                                    *session().random_weights, session().dtype)
                           : ModelToRun::from_file(session().model);
    for (const ScalingShape& shape : shapes) {
      static_cast<void>(ShardPlan(model.spec().shard_shape(), shape.ranks));  // or it throws
    }
    const std::int64_t context = session().context.value_or(model.spec().context_length);
    const int wanted = options_.latency.prompt_tokens + options_.latency.new_tokens;
    if (wanted > context) {
      throw ConfigError(fmt::format(
          "--prompt-tokens {} and --new-tokens {} want {} tokens, the context is {}",
          options_.latency.prompt_tokens, options_.latency.new_tokens, wanted, context));
    }
    return model;
  }

  const MpiRanks& world_;
  const ScalingOptions& options_;
  const Predict& predict_;
  MpiControlPlane control_;
  ScalingReport report_;
};

}  // namespace

bool ScalingReport::on_gpus() const {
  return std::any_of(devices.begin(), devices.end(),
                     [](const std::string& device) { return !device.empty() && device != "host"; });
}

ScalingReport measure_scaling(const MpiRanks& world, const ScalingOptions& options,
                              const Predict& predict,
                              const std::function<void(const ScalingReport&)>& on_row) {
  std::vector<ScalingShape> shapes = scaling_shapes(options, world.size());
  ScalingRun run(world, options, predict);
  MpiControlPlane control(world.group());
  run.prepare(shapes);
  for (const ScalingShape& shape : shapes) {
    if (world.rank() == 0 && !options.throughput.session.messages.quiet) {
      write_message(
          fmt::format("measuring {} rank{}\n", shape.name(), shape.all_ranks() == 1 ? "" : "s"));
    }
    run.add(shape);
    on_root(control, [&] { on_row(run.report()); });
  }
  return run.report();
}

}  // namespace tutti
