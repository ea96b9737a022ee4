#include "runtime/device/replay_time.hpp"

#include <gtest/gtest.h>

namespace tutti {
namespace {

TEST(ReplayTime, WorkRunsOnceByItselfAndIsReplayedBehindWhatComesBefore) {
  const auto device = make_host_device(1);
  int work = 0;
  int before = 0;
  const double seconds = replay_seconds(
      *device, 4, [&] { ++work; },
      [&] {
        ++before;
        EXPECT_EQ(work, before);  // one run by itself, then a replay behind each
      });
  EXPECT_EQ(work, 1 + 3 + 4);
  EXPECT_EQ(before, 3 + 4);
  EXPECT_GE(seconds, 0);
}

}  // namespace
}  // namespace tutti
