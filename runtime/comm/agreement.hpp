// Ranks that were given different model files refuse to start, and say which rank holds what.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "runtime/comm/communicator.hpp"

namespace tutti {

// Collective. Throws the same ModelFileError on every rank where `mine` is not equal on all:
//   "fingerprint differs between ranks, wanted the same on all, found ab12 on ranks 0-2
//    (node1:/m.h5); cd34 on rank 3 (node2:/m.h5)"
// `what` names the compared thing, `where` says where this rank got it (host and path).
void require_agreement(ControlPlane& control, std::string_view what, std::string_view mine,
                       std::string_view where);

// "rank 3", "ranks 0-2, 5": ascending numbers, runs folded.
std::string describe_ranks(std::span<const int> ranks);

}  // namespace tutti
