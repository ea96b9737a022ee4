#include "launch/progress.hpp"

#include <gtest/gtest.h>

namespace tutti {
namespace {

TEST(Progress, BarShowsShareSpeedAndTimeLeft) {
  EXPECT_EQ(
      render_bar({.what = "importing", .done = 1000000000, .total = 4000000000, .seconds = 2}, 8),
      "importing [##......]  25 %  1.00 GB of 4.00 GB  0.50 GB/s  ETA 6.0s");
}

TEST(Progress, LineAtTheEndSaysHowLongItTook) {
  EXPECT_EQ(render_line({.what = "loading", .done = 500, .total = 500, .seconds = 75}),
            "loading 100 %  500 B of 500 B  0.00 GB/s  in 1m15s");
}

TEST(Progress, NothingDoneHasNoTimeLeft) {
  EXPECT_EQ(render_line({.what = "x", .done = 0, .total = 2000, .seconds = 0}),
            "x   0 %  0 B of 2.0 kB  0.00 GB/s");
}

TEST(Progress, EmptyWorkIsDone) {
  EXPECT_EQ(render_bar({.what = "x", .done = 0, .total = 0, .seconds = 0}, 4),
            "x [####] 100 %  0 B of 0 B  0.00 GB/s  in 0.0s");
}

TEST(Progress, MoreThanExpectedStaysWithinTheBar) {
  EXPECT_EQ(render_bar({.what = "x", .done = 9, .total = 3, .seconds = 0}, 4).substr(0, 8),
            "x [####]");
}

TEST(Progress, LinesComeAtTenthsButNotTooOften) {
  LineSchedule schedule;
  const auto due = [&](std::uint64_t done, double seconds) {
    return schedule.due({.what = "", .done = done, .total = 100, .seconds = seconds});
  };
  EXPECT_FALSE(due(5, 3));   // no tenth yet
  EXPECT_TRUE(due(10, 3));   // the first tenth
  EXPECT_FALSE(due(30, 4));  // too soon
  EXPECT_TRUE(due(30, 5.5));
  EXPECT_FALSE(due(31, 20));
  EXPECT_TRUE(due(32, 36));  // a log must not fall silent
}

TEST(Progress, HumanNumbers) {
  EXPECT_EQ(human_bytes(999), "999 B");
  EXPECT_EQ(human_bytes(134515200), "134.5 MB");
  EXPECT_EQ(human_duration(3725), "1h02m");
  EXPECT_EQ(human_duration(12.4), "12s");
}

}  // namespace
}  // namespace tutti
