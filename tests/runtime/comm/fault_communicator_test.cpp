#include "tests/support/fault_communicator.hpp"

#include <gmock/gmock.h>

#include <array>
#include <atomic>

#include "kernels/error.hpp"
#include "runtime/comm/thread_group.hpp"

namespace tutti {
namespace {

void add_thrice(Communicator& comm) {
  std::array<float, 4> x{1, 2, 3, 4};
  for (int i = 0; i < 3; ++i) {
    comm.all_reduce_sum({}, {x.data(), DType::f32, Place::host, {1, 4}});
  }
}

TEST(FaultCommunicator, FailsAtTheChosenCallOfTheChosenRankAndReleasesTheOthers) {
  std::array<std::atomic<int>, 3> calls{};
  try {
    run_ranks(3, [&](int rank, Communicator& comm, ControlPlane&) {
      FaultCommunicator faulty(comm, {.rank = 1, .call = 2});
      try {
        add_thrice(faulty);
      } catch (const CommError&) {
        calls[static_cast<std::size_t>(rank)] = static_cast<int>(faulty.calls());
        throw;
      }
    });
    FAIL() << "no error";
  } catch (const CommError& error) {
    EXPECT_STREQ(error.what(), "injected fault: all_reduce_sum #2 on rank 1 of 3");
  }
  for (const auto& count : calls) {
    EXPECT_EQ(count.load(), 2);
  }
}

TEST(FaultCommunicator, ADelayChangesNothingElse) {
  run_ranks(2, [](int, Communicator& comm, ControlPlane&) {
    FaultCommunicator slow(
        comm, {.rank = 0, .call = 2, .delay = std::chrono::milliseconds(1), .fail = false});
    add_thrice(slow);
    EXPECT_EQ(slow.calls(), 3u);
  });
}

}  // namespace
}  // namespace tutti
