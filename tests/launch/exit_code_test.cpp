#include "launch/exit_code.hpp"

#include <gtest/gtest.h>

#include <new>

#include "launch/options.hpp"

namespace tutti {
namespace {

template <typename E>
ExitCode code_of(E error) {
  return failure_of(std::make_exception_ptr(error)).code;
}

TEST(ExitCode, FollowsTheKindOfTheError) {
  EXPECT_EQ(code_of(Error("x")), ExitCode::failed);
  EXPECT_EQ(code_of(std::runtime_error("x")), ExitCode::failed);
  EXPECT_EQ(code_of(42), ExitCode::failed);
  EXPECT_EQ(code_of(ConfigError("x")), ExitCode::usage);
  EXPECT_EQ(code_of(UsageError("x")), ExitCode::usage);
  EXPECT_EQ(code_of(ModelFileError("x")), ExitCode::model_file);
  EXPECT_EQ(code_of(CapacityError("x")), ExitCode::does_not_fit);
  EXPECT_EQ(code_of(std::bad_alloc()), ExitCode::does_not_fit);
  EXPECT_EQ(code_of(DeviceError("x")), ExitCode::peer);
  EXPECT_EQ(code_of(CommError("x")), ExitCode::peer);
}

TEST(ExitCode, OfAnAgreedFailureIsItsOwn) {
  const AgreedFailure agreed({ExitCode::model_file, "said once"});
  const Failure failure = failure_of(std::make_exception_ptr(agreed));
  EXPECT_EQ(failure.code, ExitCode::model_file);
  EXPECT_EQ(failure.message, "said once");
}

TEST(FailureLine, NamesRankAndHostWhereThereAreSeveral) {
  EXPECT_EQ(failure_line("broken", {}), "tutti: broken");
  EXPECT_EQ(failure_line("broken", {.host = "n7", .rank = 0, .size = 1}), "tutti: broken");
  EXPECT_EQ(failure_line("broken", {.host = "n7", .rank = 1, .size = 4}),
            "tutti: rank 1 on n7: broken");
  EXPECT_EQ(failure_line("broken", {.host = "n7", .rank = 1, .size = 4, .stage = "weights"}),
            "tutti: rank 1 on n7: weights: broken");
}

}  // namespace
}  // namespace tutti
