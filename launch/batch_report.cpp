#include "launch/batch_report.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>

namespace tutti {
namespace {

using nlohmann::json;

json sampling_json(const SamplingOptions& s) {
  return {{"temperature", s.temperature},
          {"top_k", s.top_k},
          {"top_p", s.top_p},
          {"min_p", s.min_p},
          {"repetition_penalty", s.repetition_penalty},
          {"presence_penalty", s.presence_penalty},
          {"frequency_penalty", s.frequency_penalty},
          {"seed", s.seed},
          {"max_tokens", s.max_tokens},
          {"min_tokens", s.min_tokens},
          {"ignore_eos", s.ignore_eos},
          {"stop", s.stop}};
}

// Which ranks on which hosts each replica is.
void add_places(const std::vector<RankPlace>& ranks, json& replicas) {
  for (json& replica : replicas) {
    replica["ranks"] = json::array();
    replica["hosts"] = json::array();
  }
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    json& replica = replicas.at(static_cast<std::size_t>(ranks[rank].replica));
    replica["ranks"].push_back(rank);
    json& hosts = replica["hosts"];
    if (std::find(hosts.begin(), hosts.end(), ranks[rank].host) == hosts.end()) {
      hosts.push_back(ranks[rank].host);
    }
  }
}

std::size_t nodes_of(const std::vector<RankPlace>& ranks) {
  std::set<std::string> hosts;
  for (const RankPlace& rank : ranks) {
    hosts.insert(rank.host);
  }
  return hosts.size();
}

std::int64_t unix_time() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

std::vector<std::string> command_line() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::vector<std::string> words;
  for (std::string word; std::getline(file, word, '\0');) {
    words.push_back(word);
  }
  return words;
}

json batch_report(const Session& session, const BatchOptions& options,
                  const std::vector<RankPlace>& ranks, const FoundOutput& found,
                  const BatchStatus& status, const BatchEnd& end, std::int64_t began) {
  const LoadedFacts facts = session.facts();
  JobFacts job = facts.job;
  job.ranks = ranks;
  json report = status_json(status);
  add_places(ranks, report["replicas"]);
  report["schema"] = "tutti-batch-report-1";
  report["command"] = command_line();
  report["model"] = identity_json(session);
  report["model"]["file"] = options.session.model.string();
  report["ranks"] = ranks.size();
  report["tensor_ranks"] = facts.ranks;
  report["nodes"] = nodes_of(ranks);
  report["backend"] = facts.backend;
  report["kv_tokens"] = facts.kv_tokens;
  report["load_seconds"] = facts.load_seconds;
  report["devices"] = device_names(ranks);
  report["job"] = job_json(job);
  report["sampling_defaults"] = sampling_json(options.sampling);
  report["input"] = options.input;
  report["output"] = options.output;
  report["found"] = {{"records", found.records},
                     {"other_model", found.other_model},
                     {"superseded", found.superseded},
                     {"damaged", found.damaged},
                     {"torn_bytes", found.torn_bytes}};
  report["began"] = began;
  report["ended"] = unix_time();
  report["exit"] = {{"code", static_cast<int>(end.code)}, {"reason", end.reason}};
  report["peak_resident_bytes"] = peak_resident_bytes();
  return report;
}

}  // namespace tutti
