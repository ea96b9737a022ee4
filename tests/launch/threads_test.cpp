#include "launch/threads.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tutti {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

ThreadChoice choose(const std::vector<RankCpus>& node, std::size_t mine, int online) {
  return choose_threads(node, mine, online);
}

TEST(Threads, OneRankTakesAllItMay) {
  const ThreadChoice choice = choose({{.allowed = {0, 1, 2, 3}}}, 0, 4);
  EXPECT_EQ(choice.threads, 4);
  EXPECT_THAT(choice.warning, IsEmpty());
}

TEST(Threads, RanksThatShareAMaskDivideIt) {
  const RankCpus rank{.allowed = {0, 1, 2, 3, 4}};
  const std::vector<RankCpus> node = {rank, rank, rank};
  EXPECT_EQ(choose(node, 0, 5).threads, 2);
  EXPECT_EQ(choose(node, 1, 5).threads, 2);
  EXPECT_EQ(choose(node, 2, 5).threads, 1);
}

TEST(Threads, BoundRanksKeepTheirOwnCpus) {
  const std::vector<RankCpus> node = {{.allowed = {0, 1}}, {.allowed = {2, 3}}};
  EXPECT_EQ(choose(node, 0, 4).threads, 2);
  EXPECT_EQ(choose(node, 1, 4).threads, 2);
}

TEST(Threads, MoreRanksThanCpusStillRun) {
  const RankCpus rank{.allowed = {0, 1}};
  EXPECT_EQ(choose({rank, rank, rank}, 2, 2).threads, 1);
}

TEST(Threads, RankBoundToOneCpuOfAnIdleNodeIsWarned) {
  const std::vector<RankCpus> node = {{.allowed = {0}}, {.allowed = {1}}};
  const ThreadChoice choice = choose(node, 0, 16);
  EXPECT_EQ(choice.threads, 1);
  EXPECT_THAT(choice.warning, HasSubstr("--bind-to none"));
  EXPECT_THAT(choice.warning, HasSubstr("ppr:2:node:PE=8"));
  EXPECT_THAT(choice.warning, HasSubstr("14 of the node's 16"));
}

TEST(Threads, FullyUsedNodeIsNotWarned) {
  EXPECT_THAT(choose({{.allowed = {0}}, {.allowed = {1}}}, 0, 2).warning, IsEmpty());
}

TEST(Threads, AskingForMoreThanThereIsIsObeyedWithAWarning) {
  const ThreadChoice choice = choose({{.allowed = {0, 1}, .wanted = 8}}, 0, 2);
  EXPECT_EQ(choice.threads, 8);
  EXPECT_THAT(choice.warning, HasSubstr("--threads 8 is more than the 2 CPUs"));
}

TEST(Threads, ThisProcessMayUseSomeCpu) {
  EXPECT_FALSE(allowed_cpus().empty());
  EXPECT_GE(online_cpus(), 1);
}

}  // namespace
}  // namespace tutti
