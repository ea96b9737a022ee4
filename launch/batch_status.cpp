#include "launch/batch_status.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "launch/progress.hpp"

namespace tutti {
namespace {

using nlohmann::json;

double per_second(double count, double seconds) {
  return seconds > 0 ? count / seconds : 0;
}

double kv_share(const EngineCounters& engine) {
  return engine.pages > 0 ? static_cast<double>(engine.used_pages) / engine.pages : 0;
}

// By the requests of this run so far; those that were skipped cost nothing.
std::optional<double> eta(const BatchStatus& status) {
  const std::uint64_t worked = status.answered + status.errors;
  if (!status.total || worked == 0 || status.seconds <= 0) {
    return std::nullopt;
  }
  const std::uint64_t left = *status.total - std::min(*status.total, status.done());
  if (left == 0) {
    return std::nullopt;
  }
  return static_cast<double>(left) * status.seconds / static_cast<double>(worked);
}

std::string counts(const BatchStatus& status) {
  std::string text = fmt::format("{}", status.done());
  if (status.total) {
    text += fmt::format(" of {}{}", status.total_exact ? "" : "about ", *status.total);
  }
  if (status.errors > 0) {
    text += fmt::format(", {} error{}", status.errors, status.errors == 1 ? "" : "s");
  }
  return text;
}

std::string rest(const BatchStatus& status, const BatchSpeed& speed) {
  std::string text = fmt::format(
      "in {:.0f} tok/s, out {:.0f} tok/s; {} running, {} waiting; KV {:.0f} %", speed.prompt,
      speed.output, status.running, status.waiting, 100 * kv_share(status.engine));
  if (const std::optional<double> left = eta(status)) {
    text += fmt::format("; ETA {}", human_duration(*left));
  }
  return text;
}

json latency_json(const LatencyHistogram& latency) {
  return {{"count", latency.count()},        {"mean", latency.mean()},
          {"p50", latency.percentile(0.50)}, {"p90", latency.percentile(0.90)},
          {"p99", latency.percentile(0.99)}, {"most", latency.most()}};
}

}  // namespace

std::optional<std::uint64_t> BatchStatus::left() const {
  return total && total_exact ? std::optional(*total - std::min(*total, done())) : std::nullopt;
}

BatchSpeed speed_between(const BatchStatus& before, const BatchStatus& now) {
  const double seconds = now.seconds - before.seconds;
  const auto grown = [](std::uint64_t from, std::uint64_t to) {
    return static_cast<double>(to - std::min(from, to));
  };
  return {
      .prompt = per_second(grown(before.engine.prompt_tokens, now.engine.prompt_tokens), seconds),
      .output = per_second(grown(before.engine.output_tokens, now.engine.output_tokens), seconds)};
}

std::string status_line(const BatchStatus& status, const BatchSpeed& speed) {
  return fmt::format("batch {}; {}", counts(status), rest(status, speed));
}

std::string status_bar(const BatchStatus& status, const BatchSpeed& speed) {
  constexpr std::size_t kWidth = 20;
  std::string bar;
  if (status.total) {
    const double share = *status.total == 0 ? 1
                                            : static_cast<double>(status.done()) /
                                                  static_cast<double>(*status.total);
    const auto filled = static_cast<std::size_t>(std::min(1.0, share) * kWidth);
    bar = fmt::format("[{}{}] ", std::string(filled, '#'), std::string(kWidth - filled, '.'));
  }
  return fmt::format("{}{}; {}", bar, counts(status), rest(status, speed));
}

std::string status_summary(const BatchStatus& status) {
  const EngineCounters& engine = status.engine;
  std::string text = fmt::format("answered {}, errors {}, skipped {} of an earlier run",
                                 status.answered, status.errors, status.skipped);
  if (status.again > 0) {
    text += fmt::format(", {} again because they had changed", status.again);
  }
  if (const auto left = status.left(); left && *left > 0) {
    text += fmt::format(", left {}", *left);
  }
  text += fmt::format(
      "\nin {}: {:.2f} requests/s, in {} tokens ({:.0f} tok/s), out {} tokens ({:.0f} tok/s)\n",
      human_duration(status.seconds),
      per_second(static_cast<double>(status.answered), status.seconds), engine.prompt_tokens,
      per_second(static_cast<double>(engine.prompt_tokens), status.seconds), engine.output_tokens,
      per_second(static_cast<double>(engine.output_tokens), status.seconds));
  if (status.latency.count() > 0) {
    text += fmt::format(
        "a request took {:.2f}s (p50), {:.2f}s (p90), {:.2f}s (p99); its first token {:.2f}s "
        "(p50), {:.2f}s (p99)\n",
        status.latency.percentile(0.50), status.latency.percentile(0.90),
        status.latency.percentile(0.99), status.first_token.percentile(0.50),
        status.first_token.percentile(0.99));
  }
  for (std::size_t i = 0; status.replicas.size() > 1 && i < status.replicas.size(); ++i) {
    const ReplicaShare& share = status.replicas[i];
    text += fmt::format("replica {}: answered {}, out {} tokens, busy {:.0f} % of the time\n", i,
                        share.answered, share.output_tokens,
                        100 * per_second(share.busy_seconds, status.seconds));
  }
  return text;
}

json status_json(const BatchStatus& status) {
  const EngineCounters& engine = status.engine;
  json counts = {{"read", status.read},     {"answered", status.answered},
                 {"errors", status.errors}, {"skipped", status.skipped},
                 {"again", status.again},   {"cancelled", status.cancelled},
                 {"total", nullptr},        {"left", nullptr}};
  if (status.total && status.total_exact) {
    counts["total"] = *status.total;
    counts["left"] = *status.left();
  }
  json replicas = json::array();
  for (const ReplicaShare& share : status.replicas) {
    replicas.push_back({{"answered", share.answered},
                        {"prompt_tokens", share.prompt_tokens},
                        {"output_tokens", share.output_tokens},
                        {"busy_seconds", share.busy_seconds}});
  }
  const auto rate = [&](std::uint64_t count) {
    return per_second(static_cast<double>(count), status.seconds);
  };
  return {{"counts", counts},
          {"seconds", status.seconds},
          {"tokens", {{"prompt", status.prompt_tokens}, {"output", status.output_tokens}}},
          {"throughput",
           {{"requests_per_second", rate(status.answered)},
            {"prompt_tokens_per_second", rate(engine.prompt_tokens)},
            {"output_tokens_per_second", rate(engine.output_tokens)},
            {"total_tokens_per_second", rate(engine.prompt_tokens + engine.output_tokens)}}},
          {"replicas", replicas},
          {"latency_seconds", latency_json(status.latency)},
          {"first_token_seconds", latency_json(status.first_token)},
          {"engine",
           {{"steps", engine.steps},
            {"prompt_tokens", engine.prompt_tokens},
            {"computed_tokens", engine.computed_tokens},
            {"cached_tokens", engine.cached_tokens},
            {"recomputed_tokens", engine.recomputed_tokens},
            {"output_tokens", engine.output_tokens},
            {"preemptions", engine.preemptions},
            {"pages", engine.pages},
            {"device_seconds", engine.device_seconds},
            {"gap_seconds", engine.gap_seconds},
            {"longest_gap_seconds", engine.longest_gap_seconds}}}};
}

std::string prometheus_text(const BatchStatus& status, const BatchSpeed& speed,
                            const std::string& model, const std::string& fingerprint) {
  std::string text;
  const auto metric = [&](const char* name, const char* type, const char* help, double value) {
    text += fmt::format("# HELP tutti_{0} {1}\n# TYPE tutti_{0} {2}\ntutti_{0} {3}\n", name, help,
                        type, value);
  };
  std::string label;
  for (const char c : model) {
    label += c == '"' || c == '\\' ? std::string{'\\', c} : c == '\n' ? "\\n" : std::string(1, c);
  }
  text += fmt::format(
      "# HELP tutti_model_info The model that was loaded.\n# TYPE tutti_model_info gauge\n"
      "tutti_model_info{{name=\"{}\",fingerprint=\"{}\"}} 1\n",
      label, fingerprint);
  const auto number = [](std::uint64_t count) { return static_cast<double>(count); };
  const EngineCounters& e = status.engine;
  metric("batch_answered_total", "counter", "Requests answered.", number(status.answered));
  metric("batch_errors_total", "counter", "Lines with an error record.", number(status.errors));
  metric("batch_skipped_total", "counter", "Done by an earlier run.", number(status.skipped));
  if (status.total) {
    metric("batch_requests", "gauge", "Lines of the input.", number(*status.total));
  }
  metric("batch_seconds_total", "counter", "Time since the first step.", status.seconds);
  metric("requests_running", "gauge", "Requests that hold pages.", number(status.running));
  metric("requests_waiting", "gauge", "Requests that wait for pages.", number(status.waiting));
  metric("kv_pages", "gauge", "Pages of the KV cache.", e.pages);
  metric("kv_pages_used", "gauge", "Pages that running requests hold.", e.used_pages);
  metric("kv_pages_cached", "gauge", "Pages kept for common prefixes.", e.cached_pages);
  metric("prompt_tokens_total", "counter", "Prompt tokens.", number(e.prompt_tokens));
  metric("cached_tokens_total", "counter", "Prompt tokens found in the cache.",
         number(e.cached_tokens));
  metric("output_tokens_total", "counter", "Tokens of answers.", number(e.output_tokens));
  metric("preemptions_total", "counter", "Requests that gave way.", number(e.preemptions));
  metric("steps_total", "counter", "Steps of the model.", number(e.steps));
  metric("device_seconds_total", "counter", "Time that the device worked.", e.device_seconds);
  metric("gap_seconds_total", "counter", "Time between steps.", e.gap_seconds);
  metric("prompt_tokens_per_second", "gauge", "Since the last look.", speed.prompt);
  metric("output_tokens_per_second", "gauge", "Since the last look.", speed.output);
  return text;
}

}  // namespace tutti
