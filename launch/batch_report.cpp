#include "launch/batch_report.hpp"

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

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

std::int64_t unix_time() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

std::vector<RankSeat> gather_seats(Session& session, const std::string& host) {
  const std::string mine = json{host, session.device().name(), session.device().uuid()}.dump();
  std::vector<RankSeat> seats;
  for (const auto& bytes : session.control().all_gather(std::as_bytes(std::span(mine)))) {
    const auto* begin = reinterpret_cast<const char*>(bytes.data());
    const json seat = json::parse(begin, begin + bytes.size());
    seats.push_back({.host = seat[0], .device = seat[1], .uuid = seat[2]});
  }
  return seats;
}

std::vector<std::string> command_line() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::vector<std::string> words;
  for (std::string word; std::getline(file, word, '\0');) {
    words.push_back(word);
  }
  return words;
}

json batch_report(const Session& session, const BatchOptions& options,
                  const std::vector<RankSeat>& seats, const FoundOutput& found,
                  const BatchStatus& status, const BatchEnd& end, std::int64_t began) {
  json ranks = json::array();
  for (std::size_t rank = 0; rank < seats.size(); ++rank) {
    ranks.push_back({{"rank", rank},
                     {"host", seats[rank].host},
                     {"device", seats[rank].device},
                     {"uuid", seats[rank].uuid}});
  }
  const LoadedFacts& facts = session.facts();
  json report = status_json(status);
  report["schema"] = "tutti-batch-report-1";
  report["command"] = command_line();
  report["model"] = identity_json(session);
  report["model"]["file"] = options.session.model.string();
  report["ranks"] = ranks;
  report["nodes"] = facts.nodes;
  report["backend"] = facts.backend;
  report["kv_tokens"] = facts.kv_tokens;
  report["load_seconds"] = facts.load_seconds;
  report["devices"] = device_names(facts.job.ranks);
  report["job"] = job_json(facts.job);
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
