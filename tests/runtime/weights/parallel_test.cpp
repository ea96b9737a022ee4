#include "runtime/weights/parallel.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <vector>

#include "kernels/error.hpp"

namespace tutti {
namespace {

TEST(RunParallel, DoesEachPieceOnce) {
  for (int threads : {0, 1, 3, 50}) {
    std::vector<std::atomic<int>> done(20);
    run_parallel(done.size(), threads, [&](std::size_t worker, std::size_t i) {
      EXPECT_LT(worker, static_cast<std::size_t>(std::max(threads, 1)));
      ++done[i];
    });
    for (const std::atomic<int>& times : done) {
      EXPECT_EQ(times, 1);
    }
  }
}

TEST(RunParallel, KeepsTheOrderOnOneThread) {
  std::vector<std::size_t> order;
  run_parallel(5, 1, [&](std::size_t, std::size_t i) { order.push_back(i); });
  EXPECT_EQ(order, (std::vector<std::size_t>{0, 1, 2, 3, 4}));
}

TEST(RunParallel, ThrowsWhatWasThrownAndStops) {
  for (int threads : {1, 4}) {
    std::atomic<std::size_t> calls = 0;
    EXPECT_THROW(run_parallel(1000000, threads,
                              [&](std::size_t, std::size_t) {
                                ++calls;
                                throw ModelFileError("broken");
                              }),
                 ModelFileError);
    EXPECT_LE(calls, static_cast<std::size_t>(threads));
  }
}

TEST(RunParallel, NothingToDoIsFine) {
  run_parallel(0, 4, [](std::size_t, std::size_t) { FAIL(); });
}

}  // namespace
}  // namespace tutti
