#include "launch/bench_throughput.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "launch/bench_ceilings.hpp"

namespace tutti {
namespace {

using Clock = std::chrono::steady_clock;

std::vector<WorkItem> items_of(const Session& session, const ThroughputOptions& options) {
  if (options.workload.empty()) {
    return std::vector<WorkItem>(options.requests, {.prompt = {},
                                                    .prompt_tokens = options.input_tokens,
                                                    .output_tokens = options.output_tokens});
  }
  std::vector<WorkItem> items = read_workload(options.workload, session.tokenizer());
  items.resize(std::min(items.size(), options.requests));
  return items;
}

void check_fits(const std::vector<WorkItem>& items, std::int64_t context) {
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (items[i].tokens() > context) {
      throw ConfigError(
          fmt::format("request {} wants {} tokens of prompt and {} of answer, the context is {}",
                      i + 1, items[i].prompt_tokens, items[i].output_tokens, context));
    }
  }
}

// Each repeat has ids, and so prompts, of its own: nothing is found in the prefix cache by chance.
class Work {
 public:
  Work(Engine& engine, const std::vector<WorkItem>& items, const ThroughputOptions& options,
       std::int64_t vocabulary)
      : engine_(engine), items_(items), options_(options), vocabulary_(vocabulary) {}

  // Seconds for the first `count` requests, submitted at once.
  double run(std::size_t count, bool prompts_only) {
    std::vector<Request> requests;
    for (std::size_t i = 0; i < count; ++i) {
      const WorkItem& item = items_[i];
      Request request{
          .id = next_id_, .stream = next_id_, .prompt = item.prompt, .options = options_.sampling};
      if (request.prompt.empty()) {
        request.prompt = random_prompt(options_.seed, next_id_, item.prompt_tokens, vocabulary_);
      }
      request.options.seed = options_.seed;
      request.options.max_tokens = prompts_only ? 1 : item.output_tokens;
      request.options.ignore_eos = true;
      requests.push_back(std::move(request));
      ++next_id_;
    }
    const auto start = Clock::now();
    for (const Request& request : requests) {
      engine_.submit(request);
    }
    engine_.run_until_idle([](const TokenEvent&) {});
    return std::chrono::duration<double>(Clock::now() - start).count();
  }

 private:
  Engine& engine_;
  const std::vector<WorkItem>& items_;
  const ThroughputOptions& options_;
  std::int64_t vocabulary_;
  std::uint64_t next_id_ = 0;
};

EngineCounters difference(EngineCounters after, const EngineCounters& before) {
  after.steps -= before.steps;
  after.prompt_tokens -= before.prompt_tokens;
  after.computed_tokens -= before.computed_tokens;
  after.cached_tokens -= before.cached_tokens;
  after.recomputed_tokens -= before.recomputed_tokens;
  after.output_tokens -= before.output_tokens;
  after.preemptions -= before.preemptions;
  after.device_seconds -= before.device_seconds;
  after.gap_seconds -= before.gap_seconds;
  return after;
}

void measure(Engine& engine, const std::vector<WorkItem>& items, const ThroughputOptions& options,
             const std::function<void()>& before_repeat, std::int64_t vocabulary,
             ThroughputResult& result) {
  Work work(engine, items, options, vocabulary);
  // As many as run at once warm caches and threads, have products tuned and graphs recorded.
  const std::size_t some = std::min(items.size(), static_cast<std::size_t>(options.max_running));
  std::int64_t some_tokens = 0;
  for (std::size_t i = 0; i < some; ++i) {
    some_tokens += items[i].prompt_tokens;
  }
  work.run(some, false);
  result.prompt_seconds = work.run(some, true) * static_cast<double>(result.prompt_tokens) /
                          static_cast<double>(some_tokens);
  const EngineCounters before = engine.counters();
  std::vector<double>& seconds = result.repeat_seconds;
  std::vector<double> speeds;
  for (int repeat = 0; repeat < options.repeats; ++repeat) {
    if (before_repeat) {
      before_repeat();
    }
    seconds.push_back(work.run(items.size(), false));
    speeds.push_back(static_cast<double>(result.output_tokens) / seconds.back());
  }
  result.seconds = summarize(seconds);
  result.output_speed = summarize(speeds);
  result.counters = difference(engine.counters(), before);
}

double sum_of_all(Session& session, double own) {
  double sum = 0;
  for (const double one : gather(session.control(), own)) {
    sum += one;
  }
  return sum;
}

// Of this rank, that a step of so many sequences reads.
double weights_of_step(Session& session, int sequences) {
  const ExpertLoad experts = session.model().expert_load();
  const DecoderSpec& spec = session.spec();
  auto bytes = static_cast<double>(session.model().weight_bytes());
  if (experts.held > 0) {
    const double left = 1 - spec.experts_read(sequences) / static_cast<double>(spec.experts);
    bytes -= left * static_cast<double>(experts.held) * static_cast<double>(experts.bytes_each);
  }
  return bytes;
}

// Collective.
void add_floors(Session& session, const std::vector<WorkItem>& items, int max_running,
                ThroughputResult& result) {
  const auto most_at_once = static_cast<std::int64_t>(session.model().max_step_tokens());
  const std::int64_t at_once =
      from_root(session.control(), std::min(result.prompt_tokens, most_at_once));
  const GemmCeiling gemm = library_gemm_of_all(session, at_once);
  const double bandwidth = read_bandwidth_of_all(session);
  const double weights = sum_of_all(session, weights_of_step(session, max_running));
  const KvLayout layout = session.cache().layout();
  const double kv_token = sum_of_all(
      session, static_cast<double>(layout.page_bytes()) / static_cast<double>(layout.page_size));
  if (!session.root()) {
    return;
  }
  double kv_read = 0;
  for (const WorkItem& item : items) {
    kv_read += kv_token * item.output_tokens * (item.prompt_tokens + item.output_tokens / 2.0);
  }
  const double steps = static_cast<double>(result.output_tokens) /
                       static_cast<double>(std::min<std::size_t>(
                           result.requests, static_cast<std::size_t>(max_running)));
  result.prompt_floor =
      gemm.seconds * static_cast<double>(result.prompt_tokens) / static_cast<double>(at_once);
  result.decode_floor = (steps * weights + kv_read) / bandwidth;
}

}  // namespace

double ThroughputResult::busy_share() const {
  const double all = counters.device_seconds + counters.gap_seconds;
  return all > 0 ? counters.device_seconds / all : 0;
}

double ThroughputResult::gap_per_step() const {
  return counters.steps > 0 ? counters.gap_seconds / static_cast<double>(counters.steps) : 0;
}

ThroughputResult measure_throughput(Session& session, const ThroughputOptions& options,
                                    const ThroughputHooks& hooks) {
  std::vector<WorkItem> items;
  session.on_root([&] {
    items = items_of(session, options);
    check_fits(items, session.context());
  });
  ThroughputResult result{.requests = items.size()};
  std::vector<std::int64_t> lengths;
  for (const WorkItem& item : items) {
    result.prompt_tokens += item.prompt_tokens;
    result.output_tokens += item.output_tokens;
    lengths.push_back(item.tokens());
  }
  std::sort(lengths.rbegin(), lengths.rend());
  // On a GPU the cache takes what there is; one request must fit.
  const bool on_host = session.device().place() == Place::host;
  const auto running = static_cast<std::size_t>(options.max_running);
  lengths.resize(std::min(lengths.size(), on_host ? running : 1));
  std::int64_t kv_tokens = 0;
  for (const std::int64_t length : lengths) {
    kv_tokens += length;
  }
  session.load(from_root(session.control(), kv_tokens), options.max_running);
  if (hooks.loaded) {
    hooks.loaded();
  }
  session.serve(
      [&](Engine& engine) {
        measure(engine, items, options, hooks.repeat, session.spec().vocabulary, result);
      },
      {.max_running = options.max_running});
  if (options.ceilings) {
    add_floors(session, items, options.max_running, result);
  }
  return result;
}

}  // namespace tutti
