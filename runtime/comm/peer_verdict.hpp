// Whom the ranks of a job wait for, by what each of them says. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/comm/rank_state.hpp"

namespace tutti {

// What one rank says of itself; the place in a list is its rank.
struct PeerAnswer {
  bool heard = false;  // else nothing of the rest is known
  int stage = 0;       // its order
  RankState::Doing doing = RankState::Doing::work;
  double seconds = 0;  // that it has been doing this
  std::string call;    // what it waits in
};

enum class PeerQuestion : std::uint8_t {
  stage,  // a stage has taken too long
  wait,   // a rank has waited too long for others, of which some may be at work and others behind
  rest,   // is everybody alive?
};

struct PeerVerdict {
  std::vector<int> ranks;
  bool silent = false;  // they did not answer
  std::string cause;    // of those that did
};

// `asker` is the rank whose question it is, at a place of `answers`; `limit` in seconds. Nothing
// where nobody is to blame: all is well, or the work goes on somewhere.
std::optional<PeerVerdict> judge_peers(PeerQuestion question, int asker, double limit,
                                       const std::vector<PeerAnswer>& answers);

// "ranks 0-1 wait in all_gather #3; rank 2 waits in barrier #4"
std::string describe_waits(const std::vector<PeerAnswer>& answers);

}  // namespace tutti
