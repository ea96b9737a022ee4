#include "launch/scaling_figures.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/launch/scaling_rows.hpp"

namespace tutti {
namespace {

using test::scaling_report_of;
using test::scaling_row;
using ::testing::AllOf;
using ::testing::HasSubstr;

ScalingOptions options_of(std::vector<int> counts, bool replicas) {
  ScalingOptions options;
  options.counts = std::move(counts);
  options.replicas = replicas;
  return options;
}

TEST(ScalingShapes, AreAllCountsWhereNoneAreGiven) {
  EXPECT_EQ(scaling_shapes(options_of({}, false), 3),
            (std::vector<ScalingShape>{{.ranks = 1}, {.ranks = 2}, {.ranks = 3}}));
}

TEST(ScalingShapes, ReplicasFillWhatACountLeaves) {
  EXPECT_EQ(scaling_shapes(options_of({1, 2, 3, 5}, true), 5),
            (std::vector<ScalingShape>{{.ranks = 1},
                                       {.ranks = 1, .replicas = 5},
                                       {.ranks = 2},
                                       {.ranks = 2, .replicas = 2},
                                       {.ranks = 3},
                                       {.ranks = 5}}));
  EXPECT_EQ((ScalingShape{.ranks = 2, .replicas = 3}.name()), "3 x 2");
  EXPECT_EQ((ScalingShape{.ranks = 4}.name()), "4");
}

TEST(ScalingShapes, ACountAboveTheWorldIsRefused) {
  EXPECT_THAT(
      [] {
        scaling_shapes(options_of({1, 4}, false), 2);
      },
      ::testing::ThrowsMessage<UsageError>(HasSubstr("--counts wants 4 ranks, there are 2")));
}

TEST(ScalingGroups, TakeRanksInOrderOnOneNode) {
  const std::vector<int> node(5, 0);
  EXPECT_EQ(scaling_groups(node, {.ranks = 2, .replicas = 2}), (std::vector{0, 0, 1, 1, -1}));
  EXPECT_EQ(scaling_groups(node, {.ranks = 3}), (std::vector{0, 0, 0, -1, -1}));
}

TEST(ScalingGroups, StayOnANodeWhereOneHasRoom) {
  // Ranks go round the nodes.
  EXPECT_EQ(scaling_groups({0, 1, 0, 1, 0, 1}, {.ranks = 2, .replicas = 3}),
            (std::vector{0, 1, 0, 1, 2, 2}));
  EXPECT_EQ(scaling_groups({0, 1, 0, 1}, {.ranks = 2}), (std::vector{0, -1, 0, -1}));
}

TEST(ScalingGroups, HaveRankZeroEvenWhereItsNodeIsTooSmall) {
  EXPECT_EQ(scaling_groups({0, 1, 1, 1}, {.ranks = 3}), (std::vector{0, 0, 0, -1}));
}

TEST(ScalingFigures, EfficiencyAndCostFollowFromSpeed) {
  const ScalingReport report =
      scaling_report_of({scaling_row({.ranks = 2}, {200, 200}, {0.01, 0.01}),
                         scaling_row({.ranks = 3}, {240, 240}, {0.008, 0.008}),
                         scaling_row({.ranks = 2, .replicas = 2}, {380, 380}, {})});
  EXPECT_DOUBLE_EQ(*speed_per_gpu(report.rows[1]), 80);
  EXPECT_DOUBLE_EQ(*efficiency_of(report, report.rows[0]), 1);
  EXPECT_DOUBLE_EQ(*efficiency_of(report, report.rows[1]), 0.8);
  EXPECT_DOUBLE_EQ(*efficiency_of(report, report.rows[2]), 0.95);
  // 2 GPUs at 3.60 an hour are 0.002 a second, which makes 200 tokens.
  const ScalingPrice price{.per_gpu_hour = 3.6, .unit = ""};
  EXPECT_DOUBLE_EQ(cost_of(report.rows[0], price)->value, 10);
  EXPECT_DOUBLE_EQ(cost_of(report.rows[1], price)->value, 12.5);
  EXPECT_DOUBLE_EQ(*collective_share_of(report.rows[0]), 0.1);
  EXPECT_EQ(collective_share_of(report.rows[2]), std::nullopt);
}

TEST(ScalingFigures, TheCostIntervalIsTheSpeedsTurnedRound) {
  const ScalingRow row = scaling_row({.ranks = 1}, {100, 50, 75}, {});
  const Interval cost = *cost_of(row, {.per_gpu_hour = 3.6, .unit = ""});
  EXPECT_DOUBLE_EQ(cost.least, 10);
  EXPECT_DOUBLE_EQ(cost.most, 20);
  EXPECT_DOUBLE_EQ(cost.value, 1000.0 / 75);
}

TEST(ScalingFigures, ARowThatDoesNotFitHasNone) {
  const ScalingReport report =
      scaling_report_of({test::scaling_row_that_does_not_fit(1, "1 GiB too little"),
                         scaling_row({.ranks = 2}, {10}, {0.1})});
  EXPECT_EQ(speed_of(report.rows[0]), std::nullopt);
  EXPECT_EQ(token_seconds_of(report.rows[0]), std::nullopt);
  EXPECT_EQ(cost_of(report.rows[0], {}), std::nullopt);
  EXPECT_EQ(efficiency_of(report, report.rows[0]), std::nullopt);
  EXPECT_DOUBLE_EQ(*efficiency_of(report, report.rows[1]), 1);  // the smallest that was measured
}

TEST(ScalingFigures, PredictionsOfAReplicaAreAddedUp) {
  ScalingRow row = scaling_row({.ranks = 2, .replicas = 3}, {10}, {});
  EXPECT_EQ(predicted_speed_of(row), std::nullopt);
  row.predicted = ScalingPrediction{.output_speed = 4.0, .seconds_per_token = 0.1};
  EXPECT_DOUBLE_EQ(*predicted_speed_of(row), 12);
  EXPECT_EQ(predicted_token_seconds_of(row), std::nullopt);
}

TEST(ScalingVerdict, IsCertainWhereNoRepeatsOverlap) {
  const ScalingReport report =
      scaling_report_of({scaling_row({.ranks = 1}, {100, 110}, {0.010, 0.011}),
                         scaling_row({.ranks = 2}, {150, 160}, {0.007, 0.008})});
  const Verdict speed = verdict_on(report, ScalingGoal::throughput, {});
  EXPECT_EQ(speed.best, 1u);
  EXPECT_TRUE(speed.certain);
  EXPECT_THAT(speed.text, HasSubstr("2 ranks, 155.0 tok/s (150.0 to 160.0)"));
  const Verdict latency = verdict_on(report, ScalingGoal::latency, {});
  EXPECT_EQ(latency.best, 1u);
  EXPECT_TRUE(latency.certain);
  const Verdict cost = verdict_on(report, ScalingGoal::cost, {});
  EXPECT_EQ(cost.best, 0u);  // two GPUs are not twice as fast
  EXPECT_TRUE(cost.certain);
}

TEST(ScalingVerdict, IsNotGivenWhereTheBestTwoOverlap) {
  const ScalingReport report = scaling_report_of({scaling_row({.ranks = 1}, {10, 11}, {}),
                                                  scaling_row({.ranks = 2}, {90, 120}, {}),
                                                  scaling_row({.ranks = 3}, {110, 130}, {})});
  const Verdict verdict = verdict_on(report, ScalingGoal::throughput, {});
  EXPECT_EQ(verdict.best, 2u);
  EXPECT_FALSE(verdict.certain);
  EXPECT_THAT(verdict.text, AllOf(HasSubstr("overlap"), HasSubstr("3 ranks"), HasSubstr("2 ranks"),
                                  ::testing::Not(HasSubstr("1 rank,"))));
}

// The third may be spread wider than the second.
TEST(ScalingVerdict, IsNotGivenWhereAThirdOverlaps) {
  const ScalingReport report = scaling_report_of({scaling_row({.ranks = 1}, {50, 125}, {}),
                                                  scaling_row({.ranks = 2}, {95, 96}, {}),
                                                  scaling_row({.ranks = 3}, {120, 130}, {})});
  const Verdict verdict = verdict_on(report, ScalingGoal::throughput, {});
  EXPECT_FALSE(verdict.certain);
  EXPECT_THAT(verdict.text, HasSubstr("1 rank,"));
}

TEST(ScalingVerdict, WantsTwoRowsAndTwoRepeats) {
  const ScalingReport one_row = scaling_report_of({scaling_row({.ranks = 1}, {10, 11}, {})});
  EXPECT_THAT(verdict_on(one_row, ScalingGoal::throughput, {}).text, HasSubstr("one row"));
  const ScalingReport one_repeat =
      scaling_report_of({scaling_row({.ranks = 1}, {10}, {}), scaling_row({.ranks = 2}, {20}, {})});
  const Verdict verdict = verdict_on(one_repeat, ScalingGoal::throughput, {});
  EXPECT_FALSE(verdict.certain);
  EXPECT_THAT(verdict.text, HasSubstr("one repeat"));
  const Verdict nothing = verdict_on(one_repeat, ScalingGoal::latency, {});
  EXPECT_EQ(nothing.best, std::nullopt);
}

}  // namespace
}  // namespace tutti
