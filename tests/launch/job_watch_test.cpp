#include "launch/job_watch.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "launch/sibling_ranks.hpp"

namespace tutti {
namespace {

using std::chrono::milliseconds;

TEST(WatchTimes, AreFoundBeforeAnythingIsParsed) {
  const WatchTimes usual = watch_times(std::vector<std::string>{"generate", "m.h5"});
  EXPECT_EQ(usual.startup, milliseconds(60000));
  EXPECT_EQ(usual.peer, milliseconds(60000));
  const WatchTimes given =
      watch_times(std::vector<std::string>{"--startup-timeout", "1.5", "--peer-timeout=7"});
  EXPECT_EQ(given.startup, milliseconds(1500));
  EXPECT_EQ(given.peer, milliseconds(7000));
}

TEST(WatchTimes, ThatMakeNoSenseAreLeftToTheParser) {
  const WatchTimes times =
      watch_times(std::vector<std::string>{"--peer-timeout", "soon", "--startup-timeout=-3"});
  EXPECT_EQ(times.peer, milliseconds(60000));
  EXPECT_EQ(times.startup, milliseconds(60000));
}

TEST(TroubleLine, SaysWhoWhereAndWhy) {
  EXPECT_EQ(trouble_line({.who = "rank 2 on n3", .stage = "weights", .cause = "it sleeps"}),
            "tutti: rank 2 on n3: weights: it sleeps\n");
}

TEST(MissingSiblings, NamesOneThatIsStopped) {
  const PeerTrouble trouble = missing_siblings(
      {{.rank = 0, .process = 10, .state = 'S', .arrived = true, .program = "/tutti", .own = true},
       {.rank = 1, .process = 11, .state = 'T', .arrived = true, .program = "/tutti"}},
      "n1", "waited 60 s");
  EXPECT_EQ(trouble.who, "rank 1 on n1");
  EXPECT_EQ(trouble.stage, "MPI up");
  EXPECT_EQ(trouble.cause, "waited 60 s: its process 11 is stopped");
}

TEST(MissingSiblings, NamesOneThatStillRunsAScript) {
  const PeerTrouble trouble = missing_siblings(
      {{.rank = 0, .process = 10, .state = 'S', .arrived = true, .program = "/tutti", .own = true},
       {.rank = 1, .process = 11, .state = 'S', .arrived = false, .program = "/bin/bash"}},
      "n1", "waited 60 s");
  EXPECT_EQ(trouble.cause, "waited 60 s: its process 11 still runs /bin/bash");
}

TEST(MissingSiblings, NamesThisRankWhereNoneStandsOut) {
  const PeerTrouble trouble = missing_siblings(
      {{.rank = 3, .process = 10, .state = 'S', .arrived = true, .program = "/tutti", .own = true}},
      "n1", "waited 60 s");
  EXPECT_EQ(trouble.who, "rank 3 on n1");
  EXPECT_THAT(trouble.cause, ::testing::HasSubstr("none of which is missing on this host"));
}

TEST(SpeaksFirst, IsTheFirstThatWaits) {
  const SiblingRank stopped{.rank = 0, .state = 'T', .arrived = true};
  const SiblingRank own{.rank = 1, .state = 'S', .arrived = true, .own = true};
  const SiblingRank other{.rank = 2, .state = 'S', .arrived = true};
  EXPECT_TRUE(speaks_first({stopped, own, other}));
  EXPECT_FALSE(speaks_first({{.rank = 0, .state = 'R', .arrived = true}, own}));
  EXPECT_TRUE(speaks_first({}));
}

TEST(SiblingRanks, AreNoneWithoutALauncher) {
  if (std::getenv("PMIX_NAMESPACE") == nullptr) {
    EXPECT_TRUE(sibling_ranks().empty());
  }
}

}  // namespace
}  // namespace tutti
