#include "launch/bench_latency.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>

#include "launch/bench_ceilings.hpp"
#include "launch/bench_collectives.hpp"
#include "launch/bench_workload.hpp"

namespace tutti {
namespace {

using Clock = std::chrono::steady_clock;

Request random_request(std::uint64_t id, std::int64_t vocabulary, const LatencyOptions& options) {
  Request request{.id = id,
                  .stream = id,
                  .prompt = random_prompt(options.seed, id, options.prompt_tokens, vocabulary),
                  .options = {}};
  request.options.max_tokens = options.new_tokens;
  request.options.ignore_eos = true;
  return request;
}

// When each token of each request arrived, in seconds since the start.
struct Arrivals {
  std::map<std::uint64_t, std::vector<double>> times;
  std::vector<TokenId> tokens;  // of the first request
  double end = 0;

  // When the last request got its first token.
  double all_begun() const {
    double latest = 0;
    for (const auto& [id, own] : times) {
      latest = std::max(latest, own.front());
    }
    return latest;
  }
};

Arrivals time_batch(Engine& engine, const std::vector<Request>& requests) {
  Arrivals arrivals;
  const auto start = Clock::now();
  for (const Request& request : requests) {
    engine.submit(request);
  }
  engine.run_until_idle([&](const TokenEvent& event) {
    arrivals.end = std::chrono::duration<double>(Clock::now() - start).count();
    arrivals.times[event.request].push_back(arrivals.end);
    if (event.request == requests.front().id) {
      arrivals.tokens.push_back(event.token);
    }
  });
  return arrivals;
}

// Adds the gaps between tokens once all requests have begun; returns how many there are.
std::size_t add_gaps(const Arrivals& arrivals, std::vector<double>& gaps) {
  const double begun = arrivals.all_begun();
  const std::size_t before = gaps.size();
  for (const auto& [id, own] : arrivals.times) {
    for (std::size_t i = 1; i < own.size(); ++i) {
      if (own[i] > begun) {
        gaps.push_back(own[i] - own[i - 1]);
      }
    }
  }
  return gaps.size() - before;
}

void measure_answers(Engine& engine, const LatencyOptions& options, std::int64_t vocabulary,
                     LatencyResult& result) {
  std::vector<double> first;
  std::vector<double> between;
  std::vector<double> medians;
  std::vector<double> speeds;
  std::vector<double> whole;
  std::uint64_t id = 0;
  for (int repeat = 0; repeat <= options.repeats; ++repeat) {
    std::vector<Request> requests;
    for (int i = 0; i < options.batch; ++i) {
      requests.push_back(random_request(id++, vocabulary, options));
    }
    const Arrivals arrivals = time_batch(engine, requests);
    if (repeat == 0) {
      continue;  // warms caches and threads, records graphs
    }
    if (repeat == 1) {
      result.tokens = arrivals.tokens;
    }
    const double begun = arrivals.all_begun();
    first.push_back(begun);
    const std::size_t gaps = add_gaps(arrivals, between);
    medians.push_back(
        summarize({between.end() - static_cast<std::ptrdiff_t>(gaps), between.end()}).p50);
    if (arrivals.end > begun) {
      speeds.push_back(static_cast<double>(gaps) / (arrivals.end - begun));
    }
    whole.push_back(options.batch * options.new_tokens / arrivals.end);
  }
  result.first_token = summarize(first);
  result.between_tokens = summarize(between);
  result.median_between = summarize(medians);
  result.decode_speed = summarize(speeds);
  result.whole_speed = summarize(whole);
}

// Every matrix is read once for a token, but for experts that have none; of an embedding table that
// is not the head too, one row.
double weights_read(const Session& session, const LatencyResult& result) {
  double bytes = 0;
  for (const RankFacts& rank : result.ranks) {
    bytes += static_cast<double>(rank.weights);
  }
  for (const ExpertLoad& load : result.experts) {
    bytes -= static_cast<double>(load.held - load.read) * static_cast<double>(load.bytes_each);
  }
  const DecoderSpec& spec = session.spec();
  if (!spec.tied_head) {
    const ModelIdentity& identity = session.model_to_run().identity();
    bytes -= static_cast<double>(identity.weight_bytes) / static_cast<double>(identity.parameters) *
             static_cast<double>((spec.vocabulary - 1) * spec.hidden);
  }
  return bytes;
}

double kv_read(Session& session, double context) {
  const KvLayout layout = session.cache().layout();
  double bytes = 0;
  for (const double one : gather(session.control(), static_cast<double>(layout.page_bytes()))) {
    bytes += one * context / layout.page_size;
  }
  return bytes;
}

}  // namespace

LatencyResult measure_latency(Session& session, const LatencyOptions& options) {
  session.load(
      static_cast<std::int64_t>(options.batch) * (options.prompt_tokens + options.new_tokens),
      options.batch);
  LatencyResult result;
  session.serve(
      [&](Engine& engine) { measure_answers(engine, options, session.spec().vocabulary, result); });
  result.ranks = session.gather_facts();  // before the ceilings take memory of their own
  result.experts = gather(session.control(), session.model().expert_load());
  result.collective_seconds = collective_seconds_of_step(session, options.batch);
  if (options.ceilings) {
    const GemmCeiling gemm = library_gemm_of_all(
        session, static_cast<std::int64_t>(options.batch) * options.prompt_tokens);
    result.prompt_flops = gemm.flops;
    result.library_seconds = gemm.seconds;
    result.read_bandwidth = read_bandwidth_of_all(session);
  }
  result.weight_bytes_per_token = weights_read(session, result) / options.batch;
  result.kv_bytes_per_token = kv_read(session, options.prompt_tokens + options.new_tokens / 2.0);
  return result;
}

}  // namespace tutti
