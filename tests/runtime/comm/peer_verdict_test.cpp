#include "runtime/comm/peer_verdict.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tutti {
namespace {

using Doing = RankState::Doing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

PeerAnswer waits(double seconds, const std::string& call = "all_reduce_sum #12") {
  return {.heard = true, .stage = 5, .doing = Doing::wait, .seconds = seconds, .call = call};
}
PeerAnswer rests(double seconds) {
  return {
      .heard = true, .stage = 5, .doing = Doing::rest, .seconds = seconds, .call = "broadcast #3"};
}
PeerAnswer works(double seconds, int stage = 5) {
  return {.heard = true, .stage = stage, .doing = Doing::work, .seconds = seconds, .call = {}};
}

TEST(PeerVerdict, NamesWhoDoesNotAnswer) {
  for (const PeerQuestion question :
       {PeerQuestion::stage, PeerQuestion::wait, PeerQuestion::rest}) {
    const auto verdict = judge_peers(question, 0, 10, {waits(10), {}, works(10), {}});
    ASSERT_TRUE(verdict);
    EXPECT_TRUE(verdict->silent);
    EXPECT_THAT(verdict->ranks, ElementsAre(1, 3));
  }
}

TEST(PeerVerdict, NamesWhoIsAtWorkWhileOthersWait) {
  const auto verdict = judge_peers(PeerQuestion::wait, 0, 10, {waits(10), works(11), waits(9)});
  ASSERT_TRUE(verdict);
  EXPECT_FALSE(verdict->silent);
  EXPECT_THAT(verdict->ranks, ElementsAre(1));
  EXPECT_THAT(verdict->cause, HasSubstr("for 11.0 s"));
}

TEST(PeerVerdict, BlamesNobodyWhileSomethingMoves) {
  EXPECT_FALSE(judge_peers(PeerQuestion::wait, 0, 10, {waits(10), works(1), waits(9)}));
  EXPECT_FALSE(judge_peers(PeerQuestion::wait, 0, 10, {waits(10), waits(1)}));
}

TEST(PeerVerdict, LetsRanksRestWhileAllAreAlive) {
  EXPECT_FALSE(judge_peers(PeerQuestion::rest, 1, 10, {works(1000), rests(1000), rests(1000)}));
}

TEST(PeerVerdict, OfAStageNamesThoseThatAreStillInIt) {
  const auto verdict =
      judge_peers(PeerQuestion::stage, 0, 10, {waits(10), works(10), works(3, 6), works(2, 4)});
  ASSERT_TRUE(verdict);
  EXPECT_THAT(verdict->ranks, ElementsAre(1, 3));
}

TEST(PeerVerdict, OfAStageNamesTheAskerWhereItIsTheOneAtWork) {
  const auto verdict = judge_peers(PeerQuestion::stage, 1, 10, {rests(10), works(10)});
  ASSERT_TRUE(verdict);
  EXPECT_THAT(verdict->ranks, ElementsAre(1));
}

TEST(PeerVerdict, SaysWhoWaitsWhereWhenNobodyIsLate) {
  const auto verdict = judge_peers(PeerQuestion::wait, 0, 10,
                                   {waits(10), waits(10), waits(10, "gather_columns #7")});
  ASSERT_TRUE(verdict);
  EXPECT_THAT(verdict->ranks, ElementsAre(0, 1, 2));
  EXPECT_THAT(verdict->cause, HasSubstr("ranks 0-1 wait in all_reduce_sum #12; rank 2 waits in "
                                        "gather_columns #7"));
}

TEST(RankState, SaysWhatTheRankIsAt) {
  RankState state;
  EXPECT_EQ(state.look().doing, Doing::work);
  state.enter({.name = "weights", .deadline = std::chrono::seconds(3), .pace = false, .order = 5});
  {
    const RankState::Waiting waiting(state, {.collective = "barrier", .sequence = 4});
    const RankState::Look look = state.look();
    EXPECT_EQ(look.stage.name, "weights");
    EXPECT_EQ(look.doing, Doing::wait);
    EXPECT_EQ(look.call, "barrier #4");
  }
  EXPECT_EQ(state.look().doing, Doing::work);
  state.wait_for("a step of the model");
  EXPECT_EQ(state.look().call, "a step of the model");
  state.wait_for("");
  EXPECT_EQ(state.look().doing, Doing::work);
}

TEST(RankState, ForgivesTheTimeInWhichTheProcessStood) {
  RankState state;
  const auto before = state.look();
  state.forgive(std::chrono::seconds(5));
  EXPECT_EQ(state.look().since - before.since, std::chrono::seconds(5));
  EXPECT_EQ(state.look().stage_begin - before.stage_begin, std::chrono::seconds(5));
}

}  // namespace
}  // namespace tutti
