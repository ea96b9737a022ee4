#include "runtime/comm/agreement.hpp"

#include <gmock/gmock.h>

#include <atomic>
#include <string>

#include "kernels/error.hpp"
#include "runtime/comm/thread_group.hpp"

namespace tutti {
namespace {

TEST(Agreement, EqualValuesPass) {
  for (const std::string value : {"", "ab12"}) {
    run_ranks(3, [&](int rank, Communicator&, ControlPlane& control) {
      require_agreement(control, "fingerprint", value, "node" + std::to_string(rank));
    });
  }
}

TEST(Agreement, EveryRankNamesWhoHoldsWhatAndWhere) {
  std::atomic<int> refused = 0;
  run_ranks(5, [&](int rank, Communicator&, ControlPlane& control) {
    const bool odd_one = rank == 3;
    try {
      require_agreement(control, "fingerprint", odd_one ? "cd34" : "ab12",
                        odd_one ? "node2:/m.h5" : "node1:/m.h5");
    } catch (const ModelFileError& error) {
      EXPECT_STREQ(error.what(),
                   "fingerprint differs between ranks, wanted the same on all, found ab12 on ranks "
                   "0-2, 4 (node1:/m.h5); cd34 on rank 3 (node2:/m.h5)");
      ++refused;
    }
    control.barrier();  // the ranks can still talk
  });
  EXPECT_EQ(refused.load(), 5);
}

TEST(Agreement, RunsOfRanksAreFolded) {
  EXPECT_EQ(describe_ranks(std::vector{4}), "rank 4");
  EXPECT_EQ(describe_ranks(std::vector{0, 1, 2, 5, 7, 8}), "ranks 0-2, 5, 7-8");
}

}  // namespace
}  // namespace tutti
