// What a throughput run says: a table for a person, an object for a machine.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "launch/bench_throughput.hpp"

namespace tutti {
namespace {

double share(double part, double whole) {
  return whole > 0 ? part / whole : 0;
}

// Of a repeat, what the prompts by themselves do not take.
double decode_seconds(const ThroughputResult& result) {
  return std::max(result.seconds.mean - result.prompt_seconds, 0.0);
}

}  // namespace

std::string throughput_text(const LoadedFacts& facts, const ThroughputOptions& options,
                            const ThroughputResult& result) {
  const Summary& seconds = result.seconds;
  const EngineCounters& counters = result.counters;
  std::string text = identity_banner(facts);
  text += fmt::format(
      "run      {} requests at once, {} prompt tokens, {} new tokens in all, at most {} running, "
      "{} repeats after one, seed {}\n\n",
      result.requests, result.prompt_tokens, result.output_tokens, options.max_running,
      options.repeats, options.seed);
  text += fmt::format("output          {:.1f} tok/s, spread {:.1f} %\n", result.output_speed.mean,
                      100 * result.output_speed.spread());
  text += fmt::format(
      "in and out      {:.1f} tok/s\n",
      share(static_cast<double>(result.prompt_tokens + result.output_tokens), seconds.mean));
  text += fmt::format("requests        {:.2f} per second, all in {:.3f} s\n",
                      share(static_cast<double>(result.requests), seconds.mean), seconds.mean);
  text += fmt::format(
      "device busy     {:.2f} %; between steps {:.1f} us mean, {:.1f} us at the longest\n",
      100 * result.busy_share(), 1e6 * result.gap_per_step(), 1e6 * counters.longest_gap_seconds);
  text += fmt::format("prompts         {:.1f} tok/s by themselves, {:.1f} % of the library\n",
                      share(static_cast<double>(result.prompt_tokens), result.prompt_seconds),
                      100 * share(result.prompt_floor, result.prompt_seconds));
  text += fmt::format("decode          {:.1f} tok/s beside them, {:.1f} % of reading\n",
                      share(static_cast<double>(result.output_tokens), decode_seconds(result)),
                      100 * share(result.decode_floor, decode_seconds(result)));
  text += fmt::format(
      "steps           {} of {:.1f} tokens; {} prompt tokens from the prefix cache, {} requests "
      "gave "
      "way, {} tokens computed again\n",
      counters.steps,
      share(static_cast<double>(counters.computed_tokens), static_cast<double>(counters.steps)),
      counters.cached_tokens, counters.preemptions, counters.recomputed_tokens);
  return text;
}

nlohmann::json throughput_json(const LoadedFacts& facts, const ThroughputOptions& options,
                               const ThroughputResult& result) {
  const Summary& speed = result.output_speed;
  const EngineCounters& counters = result.counters;
  nlohmann::json object = {
      {"benchmark", "throughput"},
      {"requests", result.requests},
      {"prompt_tokens", result.prompt_tokens},
      {"output_tokens", result.output_tokens},
      {"max_running", options.max_running},
      {"repeats", options.repeats},
      {"seed", options.seed},
      {"temperature", options.sampling.temperature},
      {"seconds", result.seconds.mean},
      {"output_tokens_per_second",
       {{"mean", speed.mean},
        {"least", speed.least},
        {"most", speed.most},
        {"spread", speed.spread()}}},
      {"requests_per_second", share(static_cast<double>(result.requests), result.seconds.mean)},
      {"tokens_per_second", share(static_cast<double>(result.prompt_tokens + result.output_tokens),
                                  result.seconds.mean)},
      {"device_busy_share", result.busy_share()},
      {"gap_seconds_per_step", result.gap_per_step()},
      {"longest_gap_seconds", counters.longest_gap_seconds},
      {"prompt_seconds", result.prompt_seconds},
      {"prompt_share_of_library", share(result.prompt_floor, result.prompt_seconds)},
      {"decode_share_of_reading", share(result.decode_floor, decode_seconds(result))},
      {"steps", counters.steps},
      {"computed_tokens", counters.computed_tokens},
      {"cached_tokens", counters.cached_tokens},
      {"recomputed_tokens", counters.recomputed_tokens},
      {"preemptions", counters.preemptions}};
  object.update(run_json(facts));
  return object;
}

}  // namespace tutti
