// A scaling run on the ranks of this world: parts of it at work, failures of some, and that all
// ranks come out of it together.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "launch/bench_scaling.hpp"
#include "tests/support/mpi_main.hpp"
#include "tests/support/scratch_folder.hpp"

namespace tutti {
namespace {

using ::testing::HasSubstr;

TEST(MpiRanks, PartsKnowTheirRanksAndKeepTheirSeats) {
  const MpiRanks& world = test_session();
  EXPECT_EQ(world.seat(), world.rank());  // one node
  const MpiRanks part = world.split(world.rank() % 2);
  EXPECT_EQ(part.size(), (world.size() + 1 - world.rank() % 2) / 2);
  EXPECT_EQ(part.rank(), world.rank() / 2);
  EXPECT_EQ(part.node_rank(), part.rank());
  EXPECT_EQ(part.node_size(), part.size());
  EXPECT_EQ(part.node_of_rank(), std::vector<int>(static_cast<std::size_t>(part.size()), 0));
  EXPECT_EQ(part.seat(), world.seat());
  const MpiRanks smaller = part.split(part.rank());
  EXPECT_EQ(smaller.size(), 1);
  EXPECT_EQ(smaller.seat(), world.seat());
  EXPECT_EQ(smaller.host(), world.host());
}

ScalingOptions options_for(const std::filesystem::path& shape) {
  ScalingOptions options;
  options.throughput.session.model = shape;
  options.throughput.session.random_weights = 1;
  options.throughput.session.dtype = DType::f32;
  options.throughput.session.device = DeviceWish::host;
  options.throughput.session.threads = 1;
  options.throughput.session.messages.quiet = true;
  options.throughput.requests = 3;
  options.throughput.input_tokens = 4;
  options.throughput.output_tokens = 3;
  options.throughput.max_running = 2;
  options.throughput.repeats = 2;
  options.throughput.ceilings = false;
  options.latency.prompt_tokens = 4;
  options.latency.new_tokens = 3;
  options.latency.repeats = 2;
  options.latency.ceilings = false;
  return options;
}

// Every rank gives its own; the run must end on all, so that this barrier is reached.
void expect_together() {
  MpiControlPlane control(test_session().world());
  control.barrier();
}

TEST(ScalingRun, MeasuresEveryCountAndReplicas) {
  ScalingOptions options = options_for("tests/launch/tiny_shape.json");
  options.replicas = true;
  const int world = test_session().size();
  std::size_t heard = 0;
  const Predict predict = [](int ranks, const std::string& device) {
    EXPECT_EQ(device, "host");
    return ranks == 1 ? std::optional(ScalingPrediction{.output_speed = 5.0}) : std::nullopt;
  };
  const ScalingReport report =
      measure_scaling(test_session(), options, predict,
                      [&](const ScalingReport& so_far) { EXPECT_EQ(so_far.rows.size(), ++heard); });
  if (test_session().rank() != 0) {
    EXPECT_EQ(heard, 0u);
    expect_together();
    return;
  }
  const std::vector<ScalingShape> shapes = scaling_shapes(options, world);
  ASSERT_EQ(report.rows.size(), shapes.size());
  EXPECT_EQ(heard, shapes.size());
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const ScalingRow& row = report.rows[i];
    EXPECT_EQ(row.shape, shapes[i]);
    EXPECT_TRUE(row.fits()) << row.why_not;
    EXPECT_EQ(row.speeds.size(), 2u);
    EXPECT_GT(row.output_speed.least, 0);
    EXPECT_EQ(row.latency.has_value(), row.shape.replicas == 1);
    EXPECT_EQ(row.predicted.has_value(), row.shape.ranks == 1);
  }
  EXPECT_EQ(report.devices, std::vector<std::string>(static_cast<std::size_t>(world), "host"));
  EXPECT_EQ(report.hosts.size(), static_cast<std::size_t>(world));
  EXPECT_EQ(report.model.fingerprint.size(), 64u);
  expect_together();
}

TEST(ScalingRun, OtherFailuresEndItOnIdleRanksToo) {
  ScalingOptions options = options_for("tests/launch/tiny_shape.json");
  options.counts = {1};
  options.throughput.session.expect = "00000000";
  try {
    measure_scaling(test_session(), options, {}, [](const ScalingReport&) {});
    FAIL() << "no failure";
  } catch (const AgreedFailure& agreed) {
    EXPECT_EQ(agreed.failure.code, ExitCode::model_file);
    EXPECT_THAT(agreed.failure.message, HasSubstr("--expect wants"));
  }
  expect_together();
}

TEST(ScalingRun, CountsThatTheModelCannotTakeAreRefusedAtOnce) {
  if (test_session().size() < 3) {
    GTEST_SKIP() << "wants 3 ranks";
  }
  const test::ScratchFolder scratch;
  std::ifstream file("tests/launch/tiny_shape.json");
  nlohmann::json shape = nlohmann::json::parse(file);
  shape["q_heads"] = 2;
  shape["kv_heads"] = 1;
  const ScalingOptions options = options_for(scratch.write("two.json", shape.dump()));
  EXPECT_THROW(measure_scaling(test_session(), options, {},
                               [](const ScalingReport&) { FAIL() << "measured something"; }),
               AgreedFailure);
  expect_together();
}

#ifndef TUTTI_SANITIZED

std::uint64_t address_space() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t pages = 0;
  file >> pages;
  return pages * 4096;
}

// Lets this process grow by so much and no more, while it lives.
class GrowthLimit {
 public:
  explicit GrowthLimit(std::uint64_t bytes) {
    getrlimit(RLIMIT_AS, &before_);
    const rlimit now{.rlim_cur = address_space() + bytes, .rlim_max = before_.rlim_max};
    setrlimit(RLIMIT_AS, &now);
  }
  ~GrowthLimit() { setrlimit(RLIMIT_AS, &before_); }
  GrowthLimit(const GrowthLimit&) = delete;
  GrowthLimit& operator=(const GrowthLimit&) = delete;

 private:
  rlimit before_{};
};

// One rank wants about 490 MB at the most (FFN weights, their workspace, what loading takes), two
// 245 MB each.
class ModelTooBigForOne : public ::testing::Test {
 protected:
  void SetUp() override {
    std::ifstream file("tests/launch/tiny_shape.json");
    nlohmann::json shape = nlohmann::json::parse(file);
    shape["ffn"] = 60000;
    options_ = options_for(scratch_.write("wide.json", shape.dump()));
    options_.throughput.repeats = 1;
    options_.latency.repeats = 1;
    // The libraries' own memory comes first.
    ScalingOptions small = options_for("tests/launch/tiny_shape.json");
    measure_scaling(test_session(), small, {}, [](const ScalingReport&) {});
  }

  test::ScratchFolder scratch_;
  ScalingOptions options_;
};

TEST_F(ModelTooBigForOne, IsARowThatSaysSoAndTheNextCountFits) {
  const GrowthLimit limit(std::uint64_t{350} << 20);
  const ScalingReport report =
      measure_scaling(test_session(), options_, {}, [](const ScalingReport&) {});
  if (test_session().rank() == 0) {
    EXPECT_FALSE(report.rows[0].fits());
    EXPECT_TRUE(report.rows[0].speeds.empty());
    for (std::size_t i = 1; i < report.rows.size(); ++i) {
      EXPECT_TRUE(report.rows[i].fits()) << report.rows[i].why_not;
    }
  }
  expect_together();
}

TEST_F(ModelTooBigForOne, OneReplicaWithoutRoomIsNamedAndTheOthersGiveUp) {
  if (test_session().size() < 2) {
    GTEST_SKIP() << "wants 2 ranks";
  }
  options_.counts = {1};
  options_.replicas = true;
  ScalingReport report;
  {
    std::optional<GrowthLimit> limit;
    if (test_session().rank() == 1) {
      limit.emplace(std::uint64_t{350} << 20);
    }
    report = measure_scaling(test_session(), options_, {}, [](const ScalingReport&) {});
  }
  if (test_session().rank() == 0) {
    ASSERT_EQ(report.rows.size(), 2u);
    EXPECT_TRUE(report.rows[0].fits()) << report.rows[0].why_not;
    EXPECT_FALSE(report.rows[1].fits());
    EXPECT_THAT(report.rows[1].why_not, HasSubstr("rank 1 of"));
  }
  expect_together();
}

#endif  // TUTTI_SANITIZED

}  // namespace
}  // namespace tutti
