#include "launch/doctor_suspects.hpp"

namespace tutti {

std::vector<StageTrouble> suspects_among(const std::vector<SilentRank>& silent,
                                         const std::string& stage) {
  std::vector<int> processes;
  for (const SilentRank& rank : silent) {
    if (rank.on_this_node) {
      processes.push_back(rank.process);
    }
  }
  return judge_silent(silent, look_at_processes(processes), stage);
}

std::vector<StageTrouble> judge_silent(const std::vector<SilentRank>& silent,
                                       const std::vector<ProcessLook>& looks,
                                       const std::string& stage) {
  using Kind = StageTrouble::Kind;
  std::vector<StageTrouble> suspects;
  std::vector<StageTrouble> victims;
  auto look = looks.begin();
  for (const SilentRank& rank : silent) {
    StageTrouble one{
        .kind = Kind::hangs, .rank = rank.rank, .host = rank.host, .stage = stage, .text = ""};
    if (!rank.on_this_node) {
      one.kind = Kind::silent;
      one.text = "its own line on standard error, if there is one, says more";
      suspects.push_back(one);
      continue;
    }
    const std::string trouble = trouble_of(*look);
    const std::string step = look->step.empty() ? "" : " in step '" + look->step + "'";
    if (look->alive && !look->there) {
      one.kind = Kind::failed;
      one.text = "it left the others in it; its own line on standard error says why";
    } else {
      one.text = (trouble.empty() ? "it waits for the others" : "it " + trouble) + step;
    }
    (trouble.empty() ? victims : suspects).push_back(one);
    ++look;
  }
  return suspects.empty() ? victims : suspects;
}

}  // namespace tutti
