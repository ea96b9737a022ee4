#include "tests/support/mpi_main.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdio>

namespace tutti {
namespace {

// GoogleTest makes its tests itself, so that the session can only be reached through this.
const MpiSession* session = nullptr;

// All but rank 0 are silent, except for what fails.
class FailuresOfRank final : public ::testing::EmptyTestEventListener {
 public:
  explicit FailuresOfRank(int rank) : rank_(rank) {}

  void OnTestPartResult(const ::testing::TestPartResult& result) override {
    if (result.failed()) {
      fmt::print(stderr, "rank {}: {}:{}: {}\n", rank_,
                 result.file_name() == nullptr ? "?" : result.file_name(), result.line_number(),
                 result.message());
      std::fflush(stderr);
    }
  }
  void OnTestEnd(const ::testing::TestInfo& info) override {
    if (info.result()->Failed()) {
      fmt::print(stderr, "rank {}: FAILED {}.{}\n", rank_, info.test_suite_name(), info.name());
    }
  }

 private:
  int rank_;
};

}  // namespace

const MpiSession& test_session() {
  return *session;
}

}  // namespace tutti

// A test that fails on one rank only may leave the others waiting; ctest's time limit ends that,
// and the failure has been printed by then.
int main(int argc, char** argv) {
  const tutti::MpiSession mpi(argc, argv);
  tutti::session = &mpi;
  ::testing::InitGoogleTest(&argc, argv);
  if (mpi.rank() != 0) {
    auto& listeners = ::testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new tutti::FailuresOfRank(mpi.rank()));
  }
  const int result = RUN_ALL_TESTS();
  const ::testing::UnitTest& all = *::testing::UnitTest::GetInstance();
  const bool skipped = all.skipped_test_count() > 0 && all.successful_test_count() == 0;
  return result == 0 && skipped ? 77 : result;  // what ctest shows as skipped
}
