#include "launch/bench_options.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tutti {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

ScalingOptions scaling(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"scaling", "m.h5"});
  return scaling_options(parse_options(bench_spec(), arguments));
}

TEST(BenchOptions, ScalingKnowsCountsWorkloadsAndPlace) {
  const ScalingOptions options =
      scaling({"--counts", "4,1,2,1", "--repeats", "7", "--requests", "9", "--input-tokens", "3",
               "--output-tokens", "4", "--prompt-tokens", "5", "--new-tokens", "6", "--replicas",
               "--out", "there"});
  EXPECT_EQ(options.counts, (std::vector{1, 2, 4}));
  EXPECT_EQ(options.throughput.repeats, 7);
  EXPECT_EQ(options.latency.repeats, 7);
  EXPECT_EQ(options.throughput.requests, 9u);
  EXPECT_EQ(options.throughput.input_tokens, 3);
  EXPECT_EQ(options.throughput.output_tokens, 4);
  EXPECT_EQ(options.latency.prompt_tokens, 5);
  EXPECT_EQ(options.latency.new_tokens, 6);
  EXPECT_TRUE(options.replicas);
  EXPECT_EQ(options.out, "there");
  EXPECT_FALSE(options.throughput.ceilings);
}

TEST(BenchOptions, ScalingByDefaultMeasuresAllCountsInGpuHours) {
  const ScalingOptions options = scaling({});
  EXPECT_TRUE(options.counts.empty());
  EXPECT_FALSE(options.replicas);
  EXPECT_EQ(options.throughput.repeats, 5);
  EXPECT_DOUBLE_EQ(options.price.per_gpu_hour, 1);
  EXPECT_EQ(options.price.unit, "GPU hours");
}

TEST(BenchOptions, CountsAreWholeNumbersFromOne) {
  EXPECT_EQ(counts_from_text("3"), (std::vector{3}));
  for (const std::string wrong : {"", "0", "1,", ",1", "1,,2", "1, 2", "-1", "x", "1x", "1.5"}) {
    EXPECT_THAT([&] { counts_from_text(wrong); },
                ThrowsMessage<UsageError>(HasSubstr("--counts wants numbers of ranks")))
        << wrong;
  }
}

TEST(BenchOptions, CostIsInMoneyOrInUnits) {
  EXPECT_DOUBLE_EQ(scaling({"--price-per-gpu-hour", "2.5"}).price.per_gpu_hour, 2.5);
  EXPECT_EQ(scaling({"--units-per-gpu-hour", "100"}).price.unit, "units");
  EXPECT_THAT(
      [] {
        scaling({"--price-per-gpu-hour", "1", "--units-per-gpu-hour", "1"});
      },
      ThrowsMessage<UsageError>(HasSubstr("give one of them")));
  EXPECT_THROW(scaling({"--price-per-gpu-hour", "0"}), UsageError);
}

TEST(BenchOptions, TheCommandIsKeptAsItCouldBeGivenAgain) {
  const std::string command = scaling({"--replicas", "--counts", "1,2"}).command;
  EXPECT_THAT(command, ::testing::StartsWith("tutti bench scaling m.h5 "));
  EXPECT_THAT(command, HasSubstr("--counts=1,2"));
  EXPECT_THAT(command, HasSubstr("--replicas"));
  EXPECT_THAT(command, ::testing::Not(HasSubstr("KIND")));
}

}  // namespace
}  // namespace tutti
