// Who of the ranks that no longer answer is to blame: on this node the kernel knows what they do.
#pragma once

#include <string>
#include <vector>

#include "launch/doctor_diagnose.hpp"
#include "launch/doctor_processes.hpp"

namespace tutti {

struct SilentRank {
  int rank = 0;
  std::string host;
  int process = 0;
  bool on_this_node = true;
};

// Looks at those on this node. Who spins in a collective waits for somebody, and is named only
// where nobody else can be.
std::vector<StageTrouble> suspects_among(const std::vector<SilentRank>& silent,
                                         const std::string& stage);

// The judgement on its own: `looks` are those of the ranks on this node, in order. Pure.
std::vector<StageTrouble> judge_silent(const std::vector<SilentRank>& silent,
                                       const std::vector<ProcessLook>& looks,
                                       const std::string& stage);

}  // namespace tutti
