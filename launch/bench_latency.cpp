#include "launch/bench_latency.hpp"

#include <chrono>
#include <nlohmann/json.hpp>

#include "launch/bench_ceilings.hpp"

namespace tutti {
namespace {

using Clock = std::chrono::steady_clock;

// SplitMix64 (Steele, Lea, Flood 2014): the same prompts on every machine.
std::uint64_t next_random(std::uint64_t& state) {
  state += 0x9e3779b97f4a7c15u;
  std::uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

Request random_request(std::uint64_t id, std::int64_t vocabulary, const LatencyOptions& options) {
  Request request{.id = id, .prompt = {}, .options = {}};
  std::uint64_t state = options.seed + id;
  for (int i = 0; i < options.prompt_tokens; ++i) {
    request.prompt.push_back(
        static_cast<TokenId>(next_random(state) % static_cast<std::uint64_t>(vocabulary)));
  }
  request.options.max_tokens = options.new_tokens;
  request.options.ignore_eos = true;
  return request;
}

// Arrival of each token of one answer, in seconds since it was asked for.
std::vector<double> time_answer(Engine& engine, const Request& request) {
  std::vector<double> times;
  const auto start = Clock::now();
  engine.submit(request);
  engine.run_until_idle([&](const TokenEvent&) {
    times.push_back(std::chrono::duration<double>(Clock::now() - start).count());
  });
  return times;
}

void measure_answers(Engine& engine, const LatencyOptions& options, std::int64_t vocabulary,
                     LatencyResult& result) {
  std::vector<double> first;
  std::vector<double> between;
  std::vector<double> speeds;
  for (int repeat = 0; repeat <= options.repeats; ++repeat) {
    const std::vector<double> times = time_answer(
        engine, random_request(static_cast<std::uint64_t>(repeat), vocabulary, options));
    if (repeat == 0) {
      continue;  // warms caches and threads
    }
    first.push_back(times.front());
    for (std::size_t i = 1; i < times.size(); ++i) {
      between.push_back(times[i] - times[i - 1]);
    }
    if (times.size() > 1) {
      speeds.push_back(static_cast<double>(times.size() - 1) / (times.back() - times.front()));
    }
  }
  result.first_token = summarize(first);
  result.between_tokens = summarize(between);
  result.decode_speed = summarize(speeds);
}

// Every matrix is read once for a token; of an embedding table that is not the head too, one row.
double weights_read(const Session& session, const std::vector<RankFacts>& ranks) {
  double bytes = 0;
  for (const RankFacts& rank : ranks) {
    bytes += static_cast<double>(rank.weights);
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
  session.load(options.prompt_tokens + options.new_tokens, 1);
  LatencyResult result;
  session.serve(
      [&](Engine& engine) { measure_answers(engine, options, session.spec().vocabulary, result); });
  result.ranks = session.gather_facts();  // before the ceilings take memory of their own
  const GemmCeiling gemm = library_gemm_of_all(session, options.prompt_tokens);
  result.prompt_flops = gemm.flops;
  result.library_seconds = gemm.seconds;
  result.read_bandwidth = read_bandwidth_of_all(session);
  result.weight_bytes_per_token = weights_read(session, result.ranks);
  result.kv_bytes_per_token = kv_read(session, options.prompt_tokens + options.new_tokens / 2.0);
  return result;
}

}  // namespace tutti
