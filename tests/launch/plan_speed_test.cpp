#include "launch/plan_speed.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "kernels/error.hpp"
#include "launch/options.hpp"
#include "launch/plan_calibrate.hpp"
#include "models/shapes.hpp"
#include "tests/launch/plan_support.hpp"
#include "tests/support/scratch_folder.hpp"

namespace tutti {
namespace {

using ::testing::HasSubstr;

SpeedCase speed_case(const std::string& shape, const std::string& kind, int batch = 1) {
  return {.spec = load_shape(shape), .batch = batch, .constants = test::kind(kind).constants};
}

SpeedPrediction predicted(const SpeedCase& wanted, int ranks) {
  return predict(wanted, ShardPlan(wanted.spec.shard_shape(), ranks), Link::nvlink);
}

// docs/benchmarks.md, section GPUs; docs/plan.md shows the same beside what is predicted.
struct Measured {
  const char* shape;
  const char* kind;
  int ranks;
  int batch;
  int prompt_tokens;
  int new_tokens;
  enum { decode, whole, prompts } what;
  double tokens_per_second;
};

const Measured kMeasured[] = {
    {"llama-2-7b", "h100-80", 1, 1, 128, 128, Measured::decode, 211.7},
    {"llama-2-7b", "h100-80", 1, 8, 128, 128, Measured::decode, 1562},
    {"llama-2-7b", "h100-80", 1, 16, 128, 128, Measured::decode, 2744},
    {"llama-2-7b", "h100-80", 1, 1, 4096, 2, Measured::decode, 175},
    {"llama-2-7b", "h200", 1, 1, 128, 128, Measured::decode, 297.2},
    {"llama-2-7b", "h200", 2, 1, 128, 128, Measured::decode, 472.5},
    {"llama-2-70b", "h200", 2, 1, 128, 128, Measured::decode, 56.9},
    {"llama-2-7b", "h200", 3, 1, 128, 128, Measured::decode, 542.9},
    {"llama-2-7b", "h200", 4, 1, 128, 128, Measured::decode, 595.4},
    {"llama-2-70b", "h200", 3, 1, 128, 128, Measured::decode, 71.5},
    {"llama-2-70b", "h200", 4, 1, 128, 128, Measured::decode, 89.8},
    {"qwen3-30b-a3b", "h100-80", 1, 1, 128, 128, Measured::decode, 317.0},
    {"qwen3-30b-a3b", "h200", 1, 1, 128, 128, Measured::decode, 367.6},
    {"qwen3-30b-a3b", "h200", 2, 1, 128, 128, Measured::decode, 449.0},
    {"qwen3-30b-a3b", "h200", 4, 1, 128, 128, Measured::decode, 511.0},
    {"llama-2-7b", "h100-80", 1, 256, 128, 128, Measured::whole, 11847},
    {"llama-2-7b", "h200", 1, 256, 128, 128, Measured::whole, 13239},
    {"llama-2-7b", "h200", 2, 256, 128, 128, Measured::whole, 19709},
    {"llama-2-70b", "h200", 2, 128, 128, 128, Measured::whole, 2969},
    {"llama-2-7b", "h200", 3, 256, 128, 128, Measured::whole, 25338},
    {"llama-2-7b", "h200", 4, 256, 128, 128, Measured::whole, 29162},
    {"llama-2-70b", "h200", 3, 128, 128, 128, Measured::whole, 3954},
    {"llama-2-70b", "h200", 4, 128, 128, 128, Measured::whole, 4867},
    {"llama-2-7b", "h100-80", 1, 59, 128, 800, Measured::whole, 4969},
    {"llama-2-7b", "h100-80", 1, 1, 4096, 2, Measured::prompts, 42700},
    {"llama-2-7b", "h100-80", 1, 256, 128, 1, Measured::prompts, 47800},
    {"llama-2-7b", "h200", 1, 256, 128, 1, Measured::prompts, 48200},
    {"llama-2-7b", "h200", 2, 256, 128, 1, Measured::prompts, 72200},
    {"llama-2-70b", "h200", 2, 128, 128, 1, Measured::prompts, 8360},
};

TEST(PlanSpeed, IsWithinAnEighthOfEverythingThatWasMeasured) {
  for (const Measured& measured : kMeasured) {
    SpeedCase wanted = speed_case(measured.shape, measured.kind, measured.batch);
    wanted.prompt_tokens = measured.prompt_tokens;
    wanted.new_tokens = measured.new_tokens;
    const SpeedPrediction speed = predicted(wanted, measured.ranks);
    const double prompts =
        static_cast<double>(measured.batch * measured.prompt_tokens) / speed.prompt_seconds;
    const double found = measured.what == Measured::decode  ? speed.decode_per_second
                         : measured.what == Measured::whole ? speed.whole_per_second
                                                            : prompts;
    const double error = found / measured.tokens_per_second - 1;
    EXPECT_LT(std::abs(error), 0.125) << measured.shape << " on " << measured.ranks << " "
                                      << measured.kind << ", batch " << measured.batch;
    std::printf("%-12s %d x %-8s %3d x (%4d, %3d) %-8s predicted %8.1f measured %8.1f %+5.1f %%\n",
                measured.shape, measured.ranks, measured.kind, measured.batch,
                measured.prompt_tokens, measured.new_tokens,
                measured.what == Measured::decode  ? "decode"
                : measured.what == Measured::whole ? "whole"
                                                   : "prompts",
                found, measured.tokens_per_second, 100 * error);
  }
}

TEST(PlanSpeed, FirstTokensOfShortPromptsAreNear) {
  EXPECT_NEAR(predicted(speed_case("llama-2-7b", "h100-80"), 1).prompt_seconds, 6.6e-3, 1e-3);
  EXPECT_NEAR(predicted(speed_case("llama-2-7b", "h200"), 1).prompt_seconds, 5.2e-3, 0.8e-3);
  EXPECT_NEAR(predicted(speed_case("llama-2-70b", "h200"), 2).prompt_seconds, 28.1e-3, 4.2e-3);
}

// 3.8 us at hidden 4096 and 6.1 us at 8192 for one token.
TEST(PlanSpeed, SumsTakeWhatWasMeasured) {
  EXPECT_NEAR(sum_seconds(speed_case("llama-2-7b", "h200"), 2, Link::nvlink, 1), 3.8e-6, 0.1e-6);
  EXPECT_NEAR(sum_seconds(speed_case("llama-2-70b", "h200"), 2, Link::nvlink, 1), 6.1e-6, 0.1e-6);
  EXPECT_NEAR(sum_seconds(speed_case("llama-2-7b", "h200"), 2, Link::nvlink, 16), 4.6e-6, 0.1e-6);
  EXPECT_EQ(sum_seconds(speed_case("llama-2-7b", "h200"), 1, Link::nvlink, 1), 0);
}

// A product of one token by hand: 6.6 billion parameters, 2 bytes, 97 % of 3069 GB/s.
TEST(PlanSpeed, ProductsOfOneTokenReadTheMatrices) {
  const SpeedCase wanted = speed_case("llama-2-7b", "h100-80");
  const StepTime step = decode_step(wanted, ShardPlan(wanted.spec.shard_shape(), 1), Link::nvlink);
  const double parameters = 32.0 * (4 * 4096 * 4096 + 3 * 4096 * 11008) + 32000.0 * 4096;
  EXPECT_NEAR(step.products, 2 * parameters / (0.97 * 3069e9), 1e-9);
  EXPECT_EQ(step.sums, 0);
}

// By hand: 8 of 128 experts for one token; two tokens meet in an eighth of theirs on average.
TEST(PlanSpeed, ProductsOfAMixtureReadTheExpertsThatTokensTake) {
  const SpeedCase wanted = speed_case("qwen3-30b-a3b", "h100-80");
  const ShardPlan plan(wanted.spec.shard_shape(), 1);
  const double rest = 48.0 * (2048 * 128 * (2 * 32 + 2 * 4) + 128 * 2048) + 151936.0 * 2048;
  const double expert = 48.0 * 3 * 768 * 2048;
  EXPECT_NEAR(decode_step(wanted, plan, Link::nvlink).products,
              2 * (rest + 8 * expert) / (0.97 * 3069e9), 1e-9);
  const SpeedCase two = speed_case("qwen3-30b-a3b", "h100-80", 2);
  EXPECT_NEAR(decode_step(two, plan, Link::nvlink).products,
              2 * (rest + (16 - 8 * 8 / 128.0) * expert) / (0.97 * 3069e9), 1e-9);
}

TEST(PlanSpeed, MoreOfEverythingIsSlower) {
  const ShardPlan plan(load_shape("llama-2-7b").shard_shape(), 2);
  const auto seconds = [&](const auto& change) {
    SpeedCase wanted = speed_case("llama-2-7b", "h200", 4);
    change(wanted);
    return decode_step(wanted, plan, Link::nvlink).total();
  };
  const double base = seconds([](SpeedCase&) {});
  EXPECT_GT(seconds([](SpeedCase& c) { c.batch = 8; }), base);
  EXPECT_GT(seconds([](SpeedCase& c) { c.prompt_tokens = 4096; }), base);
  EXPECT_GT(seconds([](SpeedCase& c) { c.matrix_bytes_each = 4; }), base);
  EXPECT_GT(seconds([](SpeedCase& c) { c.kv_bytes_each = 4; }), base);
  EXPECT_GT(seconds([](SpeedCase& c) { c.constants.read_gbs /= 2; }), base);
  EXPECT_GT(seconds([](SpeedCase& c) { c.constants.layer_us *= 2; }), base);
  SpeedCase wanted = speed_case("llama-2-7b", "h200", 4);
  EXPECT_GT(decode_step(wanted, plan, Link::plain).total(), base);
  EXPECT_GT(decode_step(wanted, plan, Link::network).total(),
            decode_step(wanted, plan, Link::plain).total());
}

TEST(PlanSpeed, EveryConstantCanBeSet) {
  for (const SpeedConstantInfo& info : speed_constants()) {
    SpeedConstants constants;
    set_speed_constant(constants, std::string(info.name) + "=0.25");
    EXPECT_EQ(constants.*info.member, 0.25) << info.name;
    EXPECT_FALSE(info.meaning.empty() || info.source.empty()) << info.name;
  }
}

std::string set_failure(const std::string& assignment) {
  try {
    SpeedConstants constants;
    set_speed_constant(constants, assignment);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(PlanSpeed, AConstantThatCannotBeIsRefused) {
  EXPECT_THAT(set_failure("layer_ms=3"), HasSubstr("did you mean 'layer_us'?"));
  EXPECT_THAT(set_failure("layer_us"), HasSubstr("wants a number from 0"));
  EXPECT_THAT(set_failure("layer_us=-1"), HasSubstr("found '-1'"));
  EXPECT_THAT(set_failure("layer_us=1s"), HasSubstr("found '1s'"));
  EXPECT_THAT(set_failure("layer_us=nan"), HasSubstr("found 'nan'"));
  EXPECT_THAT(set_failure("few_tokens_share=1.5"), HasSubstr("a share above 0"));
  EXPECT_THAT(set_failure("=1"), HasSubstr("'' is no constant"));
}

// A machine with constants of its own, and a report as bench latency would write it there.
class PlanCalibrate : public ::testing::Test {
 protected:
  PlanCalibrate() {
    there_.constants.read_gbs = 2000;
    there_.constants.layer_us = 15;
    there_.constants.sum_us = 4;
    const StepTime step = decode_step(there_, plan_, Link::nvlink);
    report_ = {{"benchmark", "latency"},
               {"ranks", 2},
               {"batch", 1},
               {"prompt_tokens", 128},
               {"new_tokens", 128},
               {"model", {{"parameters", model_.parameters}}},
               {"read_bytes_per_second", 2 * 2000e9},
               {"library_flop_per_second", 2 * 500e12},
               {"collective_seconds_per_step", step.sums},
               {"seconds_per_token", {{"p50", step.total()}}}};
  }
  std::string calibrate_by(const nlohmann::json& report) {
    const std::filesystem::path file = folder_.path() / "report.json";
    std::ofstream(file) << report.dump();
    try {
      return calibrate(file, model_, here_, 8, Link::nvlink);
    } catch (const ModelFileError& error) {
      return error.what();
    }
  }

  test::ScratchFolder folder_;
  PlannedModel model_ = planned_model("llama-2-7b", {});
  SpeedCase here_ = speed_case("llama-2-7b", "h100-80");
  SpeedCase there_ = here_;
  ShardPlan plan_{here_.spec.shard_shape(), 2};
  nlohmann::json report_;
};

TEST_F(PlanCalibrate, FindsTheConstantsOfTheMachine) {
  EXPECT_EQ(calibrate_by(report_), "read_gbs 2000, sum_us 4, layer_us 15");
  EXPECT_NEAR(here_.constants.layer_us, 15, 1e-6);
  EXPECT_NEAR(here_.constants.sum_us, 4, 1e-6);
  EXPECT_EQ(here_.constants.tflops, 705);  // 128 tokens say little about products
  EXPECT_NEAR(decode_step(here_, plan_, Link::nvlink).total(),
              decode_step(there_, plan_, Link::nvlink).total(), 1e-9);
}

TEST_F(PlanCalibrate, OfAnotherModelTakesTheMachineOnly) {
  report_["model"]["parameters"] = 1;
  report_["prompt_tokens"] = 4096;
  EXPECT_EQ(calibrate_by(report_), "read_gbs 2000, tflops 500");
}

TEST_F(PlanCalibrate, TakesTheLinkFromCollectives) {
  const auto one = [](const char* what, int bytes, double rate) {
    return nlohmann::json{{"what", what}, {"bytes", bytes}, {"busbw_gb_per_second", rate}};
  };
  const nlohmann::json report = {
      {"benchmark", "collectives"},
      {"cases",
       {one("all_reduce 1 x 4096 bf16", 8192, 3), one("all_reduce 1 x 4194304 bf16", 8 << 20, 155),
        one("all_gather 1 x 32000 bf16", 64 << 20, 7)}}};
  EXPECT_EQ(calibrate_by(report), "link_gbs 155");
}

TEST_F(PlanCalibrate, AReportThatIsNoneIsNamed) {
  EXPECT_THAT(calibrate_by({{"benchmark", "load"}}), HasSubstr("report.json: is of bench load"));
  EXPECT_THAT(calibrate_by({{"ranks", 2}}), HasSubstr("is no report of tutti bench latency"));
  report_.erase("batch");
  EXPECT_THAT(calibrate_by(report_), HasSubstr("is no report of tutti bench latency"));
  EXPECT_THAT(calibrate_by({{"benchmark", "collectives"}, {"cases", nlohmann::json::array()}}),
              HasSubstr("holds nothing"));
  EXPECT_THROW(calibrate("nowhere.json", model_, here_, 8, Link::nvlink), ModelFileError);
}

}  // namespace
}  // namespace tutti
