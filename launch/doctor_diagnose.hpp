// What is wrong with a job, from what its ranks saw: one finding for each ailment, each with its
// remedy. Pure: every rule is a function of the reports.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "launch/doctor_report.hpp"
#include "launch/job_facts.hpp"

namespace tutti {

enum class Severity { error, warning, note };  // worst first

struct Finding {
  Severity severity = Severity::note;
  std::string code;    // "fingerprint", for scripts
  std::string text;    // what was found, on which ranks and hosts
  std::string remedy;  // what to do
  std::vector<int> ranks;
};

// A stage that did not end as it should.
struct StageTrouble {
  enum class Kind {
    failed,  // threw: `text` says what
    hangs,   // said so itself, or was seen to
    silent,  // nothing was heard of it
  };
  Kind kind = Kind::failed;
  int rank = 0;
  std::string host;
  std::string stage;
  std::string text;
};

struct Examination {
  std::vector<RankReport> ranks;  // those that were heard of, by rank
  std::vector<StageTrouble> troubles;
  int world = 1;
  std::string expect;                // beginning of the fingerprint that is wanted
  std::vector<StageSeconds> stages;  // that ended, rank 0's view
};

// Worst first, otherwise in the order of the rules.
std::vector<Finding> diagnose(const Examination& found);

bool healthy(const std::vector<Finding>& findings);  // no errors
std::string_view name_of(Severity severity);

// The rules, in groups; each appends what it finds.
void find_troubles(const Examination& found, std::vector<Finding>& findings);
void find_launch_faults(const Examination& found, std::vector<Finding>& findings);
void find_version_faults(const Examination& found, std::vector<Finding>& findings);
void find_host_faults(const Examination& found, std::vector<Finding>& findings);
void find_gpu_faults(const Examination& found, std::vector<Finding>& findings);
void find_network_faults(const Examination& found, std::vector<Finding>& findings);
void find_file_faults(const Examination& found, std::vector<Finding>& findings);

// "rank 1 on nodeB", "ranks 0-2 on nodeA, nodeB".
std::string who(const Examination& found, const std::vector<int>& ranks);

// "eth0 at 10 Gb/s, ib0": those with hardware behind them.
std::string interfaces_of(const RankReport& rank);

// The ranks by what they say.
using RanksByText = std::map<std::string, std::vector<int>>;
RanksByText ranks_by(const Examination& found,
                     const std::function<std::string(const RankReport&)>& text_of);
// "A (ranks 0-1 on a); B (rank 2 on b)"
std::string describe(const Examination& found, const RanksByText& groups);
// Those that are not in the largest group.
std::vector<int> odd_ones(const RanksByText& groups);

}  // namespace tutti
