#include "launch/terminal.hpp"

#include <gtest/gtest.h>

namespace tutti {
namespace {

TEST(Terminal, OwnTerminalIsEnough) {
  EXPECT_TRUE(person_looks_on({.own_terminal = true, .parent = "bash"}));
}

TEST(Terminal, LaunchersTerminalCountsAsOurs) {
  EXPECT_TRUE(person_looks_on({.parent = "mpirun", .parent_terminal = true}));
  EXPECT_TRUE(person_looks_on({.parent = "prterun", .parent_terminal = true}));
}

TEST(Terminal, ShellsTerminalDoesNotWhenOursIsAPipe) {
  EXPECT_FALSE(person_looks_on({.parent = "bash", .parent_terminal = true}));
}

TEST(Terminal, LauncherInABatchJobIsNoPerson) {
  EXPECT_FALSE(person_looks_on({.parent = "mpirun", .parent_terminal = false}));
  EXPECT_FALSE(person_looks_on({.parent = "slurmstepd", .parent_terminal = true}));
}

TEST(Terminal, ProgressFollowsThePersonUnlessToldOtherwise) {
  EXPECT_EQ(progress_style("auto", true, false), ProgressStyle::bar);
  EXPECT_EQ(progress_style("auto", false, false), ProgressStyle::lines);
  EXPECT_EQ(progress_style("auto", true, true), ProgressStyle::none);
  EXPECT_EQ(progress_style("bar", false, true), ProgressStyle::bar);
  EXPECT_EQ(progress_style("lines", true, false), ProgressStyle::lines);
  EXPECT_EQ(progress_style("none", true, false), ProgressStyle::none);
}

}  // namespace
}  // namespace tutti
