#include "launch/identity_banner.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "launch/progress.hpp"

namespace tutti {
namespace {

std::string span_of(const std::string& least, const std::string& most) {
  return least == most ? most : fmt::format("{} to {}", least, most);
}

}  // namespace

std::string short_fingerprint(const std::string& fingerprint) {
  return fingerprint.substr(0, 12);
}

std::string human_count(std::uint64_t count) {
  const double number = static_cast<double>(count);
  if (count < 1000000) {
    return fmt::format("{}", count);
  }
  return count < 1000000000 ? fmt::format("{:.1f} M", number / 1e6)
                            : fmt::format("{:.2f} B", number / 1e9);
}

std::string identity_banner(const LoadedFacts& facts) {
  const double speed =
      facts.load_seconds > 0 ? static_cast<double>(facts.load_bytes) / facts.load_seconds / 1e9 : 0;
  std::string text;
  text += fmt::format("loaded   {}: {}, {} parameters, {}, fingerprint {}\n", facts.model.name,
                      facts.architecture, human_count(facts.model.parameters), facts.model.dtype,
                      short_fingerprint(facts.model.fingerprint));
  text += fmt::format(
      "on       {} rank{} on {} node{}, {}, {} thread{} per rank\n", facts.ranks,
      facts.ranks == 1 ? "" : "s", facts.nodes, facts.nodes == 1 ? "" : "s", facts.backend,
      span_of(fmt::to_string(facts.threads_least), fmt::to_string(facts.threads_most)),
      facts.threads_most == 1 ? "" : "s");
  if (!facts.network.empty()) {
    text += fmt::format("network  {}\n", facts.network);
  }
  text += fmt::format("weights  {} per rank, imbalance {:.1f} %, {} in {} at {:.2f} GB/s\n",
                      span_of(human_bytes(facts.bytes_least), human_bytes(facts.bytes_most)),
                      100 * facts.imbalance, facts.made_up ? "made up" : "read",
                      human_duration(facts.load_seconds), speed);
  text += fmt::format("KV cache {} tokens in {} pages, {} per rank at most\n", facts.kv_tokens,
                      facts.kv_pages, human_bytes(facts.kv_bytes));
  return text;
}

nlohmann::json model_json(const ModelIdentity& model, const std::string& architecture) {
  return {{"name", model.name},
          {"architecture", architecture},
          {"fingerprint", model.fingerprint},
          {"dtype", model.dtype},
          {"parameters", model.parameters}};
}

nlohmann::json run_json(const LoadedFacts& facts) {
  return {{"tutti", facts.job.libraries.tutti},
          {"model", model_json(facts.model, facts.architecture)},
          {"ranks", facts.ranks},
          {"nodes", facts.nodes},
          {"devices", device_names(facts.job.ranks)},
          {"backend", facts.backend},
          {"job", job_json(facts.job)}};
}

}  // namespace tutti
