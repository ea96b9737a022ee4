#include "launch/device_choice.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/error.hpp"

namespace tutti {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

GpuFacts gpu(int ordinal, const std::string& uuid, const std::string& name = "H100") {
  return {.ordinal = ordinal, .name = name, .uuid = uuid, .bus_id = "", .capability = 90};
}

RankGpus rank_on(int node, std::vector<GpuFacts> gpus) {
  return {.host = node == 0 ? "alpha" : "beta",
          .node = node,
          .gpus = std::move(gpus),
          .why_none = "no driver"};
}

TEST(DeviceChoice, RanksThatSeeAllGpusTakeThemByTheirIndexOnTheNode) {
  const std::vector<GpuFacts> all = {gpu(0, "a"), gpu(1, "b")};
  const std::vector<GpuFacts> others = {gpu(0, "c"), gpu(1, "d")};
  const DeviceChoice choice =
      choose_devices(DeviceWish::automatic,
                     {rank_on(0, all), rank_on(1, others), rank_on(0, all), rank_on(1, others)});
  EXPECT_TRUE(choice.on_gpus);
  EXPECT_THAT(choice.ordinals, ElementsAre(0, 0, 1, 1));
  EXPECT_EQ(choice.warning, "");
}

TEST(DeviceChoice, RanksThatSeeOneGpuEachTakeIt) {
  const DeviceChoice choice =
      choose_devices(DeviceWish::cuda, {rank_on(0, {gpu(0, "a")}), rank_on(0, {gpu(0, "b")})});
  EXPECT_THAT(choice.ordinals, ElementsAre(0, 0));
}

// As the second of two replicas on one node: each is chosen by itself.
TEST(DeviceChoice, APartOfTheWorldTakesTheGpusOfItsSeats) {
  const std::vector<GpuFacts> all = {gpu(0, "a"), gpu(1, "b"), gpu(2, "c"), gpu(3, "d")};
  RankGpus third = rank_on(0, all);
  RankGpus fourth = rank_on(0, all);
  third.seat = 2;
  fourth.seat = 3;
  EXPECT_THAT(
      choose_devices(DeviceWish::automatic, {rank_gpus_from_text(to_text(third)), fourth}).ordinals,
      ElementsAre(2, 3));
}

TEST(DeviceChoice, NoGpuMeansTheHostUnlessOneIsWanted) {
  EXPECT_FALSE(choose_devices(DeviceWish::automatic, {rank_on(0, {})}).on_gpus);
  EXPECT_FALSE(choose_devices(DeviceWish::host, {rank_on(0, {gpu(0, "a")})}).on_gpus);
  EXPECT_THAT([] { choose_devices(DeviceWish::cuda, {rank_on(0, {})}); },
              ThrowsMessage<DeviceError>(
                  AllOf(HasSubstr("rank 0 on alpha sees no GPU"), HasSubstr("no driver"))));
}

TEST(DeviceChoice, TheHostBesideGpusIsWarnedOfUnlessItIsWanted) {
  RankGpus hidden = rank_on(0, {});
  hidden.machine_has_gpus = true;
  const std::vector<RankGpus> ranks = {rank_on(1, {}), hidden};
  EXPECT_THAT(choose_devices(DeviceWish::automatic, ranks).warning,
              AllOf(HasSubstr("alpha has GPUs: rank 1 may use none (no driver)"),
                    HasSubstr("--device host")));
  EXPECT_EQ(choose_devices(DeviceWish::host, ranks).warning, "");
  EXPECT_EQ(choose_devices(DeviceWish::automatic, {rank_on(0, {})}).warning, "");
}

TEST(DeviceChoice, TwoRanksOnOneGpuAreRefusedAndListed) {
  const std::vector<GpuFacts> one = {gpu(0, "GPU-1")};
  EXPECT_THAT(
      [&] {
        choose_devices(DeviceWish::automatic, {rank_on(0, one), rank_on(0, one)});
      },
      ThrowsMessage<ConfigError>(AllOf(HasSubstr("would share GPU GPU-1: ranks 0 and 1"),
                                       HasSubstr("rank 1 on alpha sees 0: H100 (GPU-1)"),
                                       HasSubstr("--device host"))));
}

TEST(DeviceChoice, FewerGpusThanRanksAreRefused) {
  const std::vector<GpuFacts> two = {gpu(0, "a"), gpu(1, "b")};
  EXPECT_THAT(
      [&] {
        choose_devices(DeviceWish::cuda, {rank_on(0, two), rank_on(0, two), rank_on(0, two)});
      },
      ThrowsMessage<ConfigError>(HasSubstr("3 ranks on alpha would share")));
  EXPECT_THAT(
      [&] {
        choose_devices(DeviceWish::automatic, {rank_on(0, {gpu(0, "a")}), rank_on(1, {})});
      },
      ThrowsMessage<ConfigError>(HasSubstr("rank 1 sees no GPU, others do")));
}

TEST(DeviceChoice, MixedGpusAreWarnedOf) {
  const DeviceChoice choice =
      choose_devices(DeviceWish::automatic,
                     {rank_on(0, {gpu(0, "a", "H100")}), rank_on(0, {gpu(0, "b", "A100")})});
  EXPECT_THAT(choice.warning, HasSubstr("mixes GPUs (A100, H100)"));
}

TEST(DeviceChoice, FactsSurviveTheWayBetweenRanks) {
  const RankGpus rank = rank_on(1, {gpu(3, "x", "name \"quoted\"")});
  const RankGpus back = rank_gpus_from_text(to_text(rank));
  EXPECT_EQ(back.host, "beta");
  EXPECT_EQ(back.node, 1);
  EXPECT_EQ(back.why_none, "no driver");
  EXPECT_FALSE(back.machine_has_gpus);
  ASSERT_EQ(back.gpus.size(), 1u);
  EXPECT_EQ(back.gpus[0].ordinal, 3);
  EXPECT_EQ(back.gpus[0].name, "name \"quoted\"");
}

}  // namespace
}  // namespace tutti
