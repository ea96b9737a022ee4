#include "launch/scaling_predict.hpp"

#include <gtest/gtest.h>

namespace tutti {
namespace {

ScalingOptions shape(const std::string& name) {
  ScalingOptions options;
  for (SessionOptions* session : {&options.throughput.session, &options.latency.session}) {
    session->model = name;
    session->random_weights = 7;
  }
  return options;
}

// The figures of docs/benchmarks.md, within the 15 % that plan aims at.
TEST(ScalingPrediction, IsNearWhatWasMeasuredOnTwoH200) {
  const auto predicted = plan_predictions(shape("llama-2-7b"))(2, "NVIDIA H200");
  ASSERT_TRUE(predicted && predicted->output_speed && predicted->seconds_per_token);
  EXPECT_NEAR(*predicted->output_speed, 20447, 0.15 * 20447);
  EXPECT_NEAR(1 / *predicted->seconds_per_token, 472, 0.15 * 472);
}

TEST(ScalingPrediction, TakesAGpuByTheNameThatItsDriverGives) {
  const Predict predict = plan_predictions(shape("llama-2-7b"));
  EXPECT_TRUE(predict(1, "NVIDIA H100 80GB HBM3"));
  EXPECT_FALSE(predict(1, "host"));
  EXPECT_FALSE(predict(1, "NVIDIA nothing"));
}

TEST(ScalingPrediction, OfAWorkloadFromAFileIsThatOfLatencyAlone) {
  ScalingOptions options = shape("llama-2-7b");
  options.throughput.workload = "lengths.jsonl";
  const auto predicted = plan_predictions(options)(1, "NVIDIA H200");
  ASSERT_TRUE(predicted);
  EXPECT_FALSE(predicted->output_speed);
  EXPECT_TRUE(predicted->seconds_per_token);
}

}  // namespace
}  // namespace tutti
