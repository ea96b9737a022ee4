#include <gmock/gmock.h>

#include "launch/session.hpp"

namespace tutti {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

SessionOptions options_of(std::vector<std::string> arguments) {
  const CommandSpec spec{.name = "play",
                         .summary = "for tests",
                         .synopsis = "MODEL.h5 [options]",
                         .text = "Text.",
                         .groups = {session_option_group(), message_option_group()},
                         .operands = {"MODEL.h5"},
                         .examples = {}};
  arguments.insert(arguments.begin(), "m.h5");
  return session_options(parse_options(spec, arguments));
}

TEST(SessionOptions, LookForGpusAndFillThemUnlessToldOtherwise) {
  const SessionOptions options = options_of({});
  EXPECT_EQ(options.model, "m.h5");
  EXPECT_EQ(options.device, DeviceWish::automatic);
  EXPECT_DOUBLE_EQ(options.gpu_memory_fraction, 0.9);
  EXPECT_TRUE(options.graphs);
  EXPECT_TRUE(options.check);
  EXPECT_FALSE(options.random_weights.has_value());
  EXPECT_FALSE(options.context.has_value());
  EXPECT_EQ(options.dtype, DType::bf16);
}

TEST(SessionOptions, TakeDeviceGraphsAndMemory) {
  EXPECT_EQ(options_of({"--device", "cuda"}).device, DeviceWish::cuda);
  EXPECT_EQ(options_of({"--device=host"}).device, DeviceWish::host);
  EXPECT_FALSE(options_of({"--no-graphs"}).graphs);
  EXPECT_DOUBLE_EQ(options_of({"--gpu-memory-fraction", "0.5"}).gpu_memory_fraction, 0.5);
  EXPECT_THAT(
      [] {
        options_of({"--gpu-memory-fraction", "1.5"});
      },
      ThrowsMessage<UsageError>(AllOf(HasSubstr("--gpu-memory-fraction"), HasSubstr("1.5"))));
}

TEST(SessionOptions, TakeRandomWeightsOfAnyType) {
  const SessionOptions options = options_of({"--random-weights", "7", "--dtype", "f16"});
  EXPECT_EQ(options.random_weights, 7u);
  EXPECT_EQ(options.dtype, DType::f16);
  EXPECT_THAT(
      [] {
        options_of({"--random-weights", "-1"});
      },
      ThrowsMessage<UsageError>(HasSubstr("--random-weights")));
  EXPECT_THAT(
      [] {
        options_of({"--random-weights", "7", "--dtype", "f8"});
      },
      ThrowsMessage<UsageError>(AllOf(HasSubstr("f32, f16, bf16"), HasSubstr("'f8'"))));
}

TEST(SessionOptions, ATypeWithoutRandomWeightsIsRefused) {
  EXPECT_THAT(
      [] {
        options_of({"--dtype", "f16"});
      },
      ThrowsMessage<UsageError>(
          AllOf(HasSubstr("--dtype goes with --random-weights"), HasSubstr("tutti import"))));
}

TEST(SessionOptions, ADeviceThatIsNotKnownIsAnsweredWithTheNearest) {
  EXPECT_THAT(
      [] {
        options_of({"--device", "cdua"});
      },
      ThrowsMessage<UsageError>(
          AllOf(HasSubstr("auto, cuda, host"), HasSubstr("did you mean 'cuda'?"))));
}

}  // namespace
}  // namespace tutti
