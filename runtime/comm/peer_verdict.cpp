#include "runtime/comm/peer_verdict.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "runtime/comm/agreement.hpp"

namespace tutti {
namespace {

using Doing = RankState::Doing;

template <typename Wanted>
std::vector<int> ranks_where(const std::vector<PeerAnswer>& answers, const Wanted& wanted) {
  std::vector<int> ranks;
  for (std::size_t rank = 0; rank < answers.size(); ++rank) {
    if (wanted(answers[rank])) {
      ranks.push_back(static_cast<int>(rank));
    }
  }
  return ranks;
}

double shortest(const std::vector<PeerAnswer>& answers, const std::vector<int>& ranks) {
  double least = answers[static_cast<std::size_t>(ranks.front())].seconds;
  for (const int rank : ranks) {
    least = std::min(least, answers[static_cast<std::size_t>(rank)].seconds);
  }
  return least;
}

PeerVerdict at_work(const std::vector<PeerAnswer>& answers, std::vector<int> ranks) {
  const double seconds = shortest(answers, ranks);
  return {.ranks = std::move(ranks),
          .cause = fmt::format("has not arrived: alive, but at no call that others wait in for "
                               "{:.1f} s",
                               seconds)};
}

PeerVerdict all_wait(const std::vector<PeerAnswer>& answers) {
  return {.ranks = ranks_where(answers, [](const PeerAnswer&) { return true; }),
          .cause = fmt::format("nobody is late, and yet {}: a message was lost, or a link is down",
                               describe_waits(answers))};
}

}  // namespace

std::string describe_waits(const std::vector<PeerAnswer>& answers) {
  std::map<std::string, std::vector<int>> calls;
  for (std::size_t rank = 0; rank < answers.size(); ++rank) {
    if (answers[rank].heard && answers[rank].doing != Doing::work) {
      calls[answers[rank].call].push_back(static_cast<int>(rank));
    }
  }
  std::vector<std::string> parts;
  for (const auto& [call, ranks] : calls) {
    parts.push_back(fmt::format("{} {} in {}", describe_ranks(ranks),
                                ranks.size() == 1 ? "waits" : "wait", call));
  }
  return fmt::format("{}", fmt::join(parts, "; "));
}

std::optional<PeerVerdict> judge_peers(PeerQuestion question, int asker, double limit,
                                       const std::vector<PeerAnswer>& answers) {
  std::vector<int> silent = ranks_where(answers, [](const PeerAnswer& a) { return !a.heard; });
  if (!silent.empty()) {
    return PeerVerdict{.ranks = std::move(silent), .silent = true, .cause = {}};
  }
  if (question == PeerQuestion::rest) {
    return std::nullopt;
  }
  if (question == PeerQuestion::stage) {
    const int stage = answers[static_cast<std::size_t>(asker)].stage;
    std::vector<int> late = ranks_where(
        answers, [&](const PeerAnswer& a) { return a.doing == Doing::work && a.stage <= stage; });
    return late.empty() ? all_wait(answers) : at_work(answers, std::move(late));
  }
  // Ranks reach the same call at different moments: what moved within the last half still moves.
  const auto moved = [&](const PeerAnswer& a) { return a.seconds < limit / 2; };
  if (std::any_of(answers.begin(), answers.end(), moved)) {
    return std::nullopt;
  }
  std::vector<int> busy =
      ranks_where(answers, [](const PeerAnswer& a) { return a.doing == Doing::work; });
  return busy.empty() ? all_wait(answers) : at_work(answers, std::move(busy));
}

}  // namespace tutti
