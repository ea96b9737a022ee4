// The measurement of collectives: every case is run and counted as its name says, on all ranks
// alike.
#include "runtime/comm/collective_times.hpp"

#include <gmock/gmock.h>

#include "runtime/comm/local_communicator.hpp"
#include "runtime/comm/thread_group.hpp"

namespace tutti {
namespace {

using Kind = CollectiveCase::Kind;

const std::vector<CollectiveCase> kCases = {
    {.columns = 64, .dtype = DType::f32, .shared = false},
    {.kind = Kind::all_reduce_add_rmsnorm, .rows = 2, .columns = 64, .dtype = DType::f32},
    {.kind = Kind::all_gather, .rows = 3, .columns = 60, .dtype = DType::f32}};

TEST(CollectiveTimes, CountBytesAndWhatTheLinksCarry) {
  run_ranks(3, [](int, Communicator& group, ControlPlane& control) {
    const auto device = make_host_device(1);
    const auto times = time_collectives(group, control, *device, kCases, 2);
    ASSERT_EQ(times.size(), kCases.size());
    EXPECT_EQ(times[0].bytes, 64u * 4);
    EXPECT_EQ(times[1].bytes, 2u * 64 * 4);
    EXPECT_EQ(times[2].bytes, 3u * 60 * 4);
    for (const CollectiveTime& time : times) {
      const bool gather = time.what.kind == Kind::all_gather;
      EXPECT_GT(time.microseconds, 0);
      EXPECT_NEAR(time.algorithm_rate * time.microseconds * 1e3, static_cast<double>(time.bytes),
                  1e-6 * static_cast<double>(time.bytes));
      EXPECT_NEAR(time.bus_rate, time.algorithm_rate * (gather ? 2.0 / 3 : 4.0 / 3),
                  1e-9 * time.algorithm_rate);
      // The slowest rank's time is everyone's.
      const auto all = control.all_gather(std::as_bytes(std::span(&time.microseconds, 1)));
      EXPECT_EQ(all[0], all[1]);
      EXPECT_EQ(all[0], all[2]);
    }
  });
}

TEST(CollectiveTimes, AGroupOfOneIsMeasuredToo) {
  LocalCommunicator group;
  ThreadGroup alone(1);
  const auto device = make_host_device(1);
  EXPECT_EQ(time_collectives(group, alone.control(0), *device, kCases, 1).size(), kCases.size());
}

TEST(CollectiveTimes, CasesSayWhatTheyAre) {
  EXPECT_EQ(describe(kCases[0]), "all_reduce 1 x 64 f32, plain memory");
  EXPECT_EQ(describe(kCases[1]), "all_reduce_add_rmsnorm 2 x 64 f32");
  EXPECT_EQ(describe(usual_collective_cases(Place::cuda).front()), "all_reduce 1 x 4096 bf16");
  for (const CollectiveCase& what : usual_collective_cases(Place::host)) {
    EXPECT_EQ(what.dtype, DType::f32);
  }
}

}  // namespace
}  // namespace tutti
