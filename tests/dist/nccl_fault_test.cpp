// What a group of GPUs does about a rank that does not come, and one that stops halfway.
#include <gmock/gmock.h>

#include <future>

#include "tests/support/mpi_gpu.hpp"
#include "tests/support/mpi_main.hpp"

namespace tutti {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using testing::RankGpu;

class NcclFaults : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { gpu() = RankGpu::open(test_session()); }
  static void TearDownTestSuite() { gpu() = RankGpu(); }
  void SetUp() override {
    if (test_session().size() < 2) {
      GTEST_SKIP() << "wants two ranks";
    }
  }

  static RankGpu& gpu() {
    static RankGpu instance;
    return instance;
  }
  static bool first() { return test_session().rank() == 0; }

  // Whether rank 0 has a GPU, which is all that is wanted here, the same on all ranks.
  static bool first_has_gpu() {
    std::vector<std::byte> answer;
    if (first() && gpu().device) {
      answer.resize(1);
    }
    gpu().control->broadcast(answer, 0);
    return !answer.empty();
  }
  static NcclOptions options() { return {.host = test_session().host()}; }
};

TEST_F(NcclFaults, ARankThatNeverJoinsIsAnErrorWithinTheDeadline) {
  if (!first_has_gpu()) {
    GTEST_SKIP() << gpu().why_not;
  }
  if (first()) {
    NcclOptions brief = options();
    brief.join_deadline = milliseconds(2000);
    try {
      make_nccl_communicator(*gpu().library, *gpu().device, *gpu().control, brief);
      ADD_FAILURE() << "no error";
    } catch (const CommError& error) {
      EXPECT_THAT(error.what(), HasSubstr("nccl: rank 0 of"));
      EXPECT_THAT(error.what(), HasSubstr("ncclCommInitRankConfig did not end within 2.0 s"));
    }
  } else {
    std::vector<std::byte> name;  // learns the group's name, and that is all
    gpu().control->broadcast(name, 0);
  }
  gpu().control->barrier();
}

// Rank 0 sums, the others never do.
void expect_bark(RankGpu& gpu, const NcclOptions& wanted, std::int64_t count, bool first) {
  NcclOptions options = wanted;
  options.wait_deadline = seconds(2);
  auto reported = std::make_shared<std::promise<std::string>>();
  std::future<std::string> report = reported->get_future();
  options.failed = [reported](const std::string& why) { reported->set_value(why); };
  {
    const auto group = make_nccl_communicator(*gpu.library, *gpu.device, *gpu.control, options);
    const DeviceMemory x =
        gpu.device->allocate(static_cast<std::size_t>(count) * sizeof(float), "a test's array");
    gpu.device->fill_zero(x.data(), x.bytes());
    const TensorView view(x.data(), DType::f32, Place::cuda, {1, count});
    group->all_reduce_sum(gpu.device->exec(), view);  // connects: the next one only waits
    gpu.device->synchronize();
    if (first) {
      group->all_reduce_sum(gpu.device->exec(), view);
      group->watch("a rank that stopped");
      ASSERT_EQ(report.wait_for(seconds(60)), std::future_status::ready);
      const std::string why = report.get();
      EXPECT_THAT(why, HasSubstr("for a rank that stopped"));
      EXPECT_THAT(why, HasSubstr("the last call was all_reduce_sum #2"));
      EXPECT_THROW(group->check(), CommError);
      EXPECT_THROW(group->all_reduce_sum(gpu.device->exec(), view), CommError);
      gpu.device->synchronize();  // what hung has ended
    }
    gpu.control->barrier();
  }
  gpu.control->barrier();
}

TEST_F(NcclFaults, ASumThatAPeerLeavesOutIsAbortedAndNamed) {
  if (!gpu().why_not.empty()) {
    GTEST_SKIP() << gpu().why_not;
  }
  expect_bark(gpu(), options(), 1 << 20, first());  // by NCCL's kernel
}

TEST_F(NcclFaults, OwnKernelsAreReleasedToo) {
  if (!gpu().why_not.empty()) {
    GTEST_SKIP() << gpu().why_not;
  }
  expect_bark(gpu(), options(), 1024, first());
}

}  // namespace
}  // namespace tutti
