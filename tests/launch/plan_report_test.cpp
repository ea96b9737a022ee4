#include "launch/plan_report.hpp"

#include <gmock/gmock.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "tests/launch/plan_support.hpp"

namespace tutti {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

// What people see, for every shape: kinds beside each other, and five counts of one in full without
// the constants. TUTTI_WRITE_TABLES=1 writes them anew.
class PlanTables : public ::testing::TestWithParam<std::string> {};

std::string tables(const std::string& shape) {
  PlanQuestion question = test::question(shape);
  std::vector<DevicePlan> plans;
  for (const char* kind : {"a10", "a100-40", "a100-80", "h100-80", "h200"}) {
    plans.push_back(plan_on(question, test::kind(kind)));
  }
  std::string text = kinds_text(question, plans) + "\n";
  question.ranks = {1, 2, 3, 4, 8};
  const std::string whole = plan_text(question, plan_on(question, test::kind("a100-80")));
  return text + whole.substr(0, whole.find("\nconstants"));
}

TEST_P(PlanTables, AreAsTheyWere) {
  const std::string path = "tests/launch/plan_tables/" + GetParam() + ".txt";
  const std::string found = tables(GetParam());
  if (std::getenv("TUTTI_WRITE_TABLES") != nullptr) {
    std::ofstream(path) << found;
  }
  std::ifstream file(path);
  ASSERT_TRUE(file) << path;
  const std::string wanted{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(found, wanted);
}

INSTANTIATE_TEST_SUITE_P(Shapes, PlanTables,
                         ::testing::Values("llama-2-7b", "llama-2-13b", "llama-2-70b", "llama-3-8b",
                                           "llama-3-70b", "smollm2-135m"),
                         [](const auto& tested) {
                           std::string name = tested.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

std::vector<std::string> keys(const json& object) {
  std::vector<std::string> names;
  for (const auto& [name, value] : object.items()) {
    names.push_back(name);
  }
  return names;
}

TEST(PlanJson, HasTheFieldsThatItsDocumentationNames) {
  const PlanQuestion question = test::question("llama-2-70b", {1, 4});
  const json object = plan_json(question, plan_on(question, test::kind("a100-40")));
  EXPECT_THAT(keys(object),
              ::testing::UnorderedElementsAre("tutti", "model", "load", "device", "fits",
                                              "smallest_count", "pays_up_to", "counts"));
  EXPECT_EQ(object["model"]["name"], "llama-2-70b");
  EXPECT_EQ(object["model"]["parameters"], 68'976'648'192);
  EXPECT_TRUE(object["model"]["fingerprint"].is_null());
  EXPECT_EQ(object["load"]["context"], 4096);
  EXPECT_EQ(object["device"]["kind"], "a100-40");
  EXPECT_EQ(object["device"]["constants"].size(), speed_constants().size());
  EXPECT_EQ(object["fits"], true);
  EXPECT_EQ(object["smallest_count"], 4);
  ASSERT_EQ(object["counts"].size(), 2u);
  EXPECT_EQ(object["counts"][0]["fits"], false);
  const json& four = object["counts"][1];
  EXPECT_THAT(keys(four),
              ::testing::UnorderedElementsAre("ranks", "fits", "imbalance", "kv_tokens_that_fit",
                                              "prediction", "per_rank"));
  ASSERT_EQ(four["per_rank"].size(), 4u);
  EXPECT_THAT(
      keys(four["per_rank"][0]),
      ::testing::UnorderedElementsAre("rank", "weight_bytes", "kv_bytes", "workspace_bytes",
                                      "budget_bytes", "left_bytes", "heads", "kv_heads",
                                      "ffn_columns", "experts", "vocabulary_rows", "parameters"));
  EXPECT_LT(object["counts"][0]["per_rank"][0]["left_bytes"].get<std::int64_t>(), 0);
  double parts = 0;
  for (const auto& [name, seconds] : four["prediction"]["parts"].items()) {
    parts += seconds.get<double>();
  }
  EXPECT_NEAR(parts, four["prediction"]["seconds_per_token"].get<double>(), 1e-12);
}

TEST(PlanJson, SaysNothingOfASpeedThatIsNotKnown) {
  PlanQuestion question = test::question("llama-2-7b", {1});
  question.device_bytes = std::uint64_t{40} << 30;
  const DevicePlan plan = plan_on(question, {.name = "device", .title = "mine"});
  EXPECT_TRUE(plan_json(question, plan)["counts"][0]["prediction"].is_null());
  EXPECT_TRUE(plan_json(question, plan)["pays_up_to"].is_null());
  EXPECT_THAT(plan_text(question, plan), ::testing::Not(HasSubstr("constants")));
}

TEST(PlanJson, SeveralKindsAreAListOfAnswers) {
  const PlanQuestion question = test::question("llama-2-70b", {2});
  std::vector<DevicePlan> plans;
  for (const char* kind : {"a10", "h200"}) {
    plans.push_back(plan_on(question, test::kind(kind)));
  }
  const json object = kinds_json(question, plans);
  ASSERT_EQ(object["devices"].size(), 2u);
  EXPECT_EQ(object["devices"][0]["fits"], false);
  EXPECT_EQ(object["devices"][1]["fits"], true);
  EXPECT_EQ(object["devices"][0]["smallest_count"], 8);
}

TEST(PlanText, NamesTheCalibration) {
  PlanQuestion question = test::question("llama-2-7b", {1});
  question.constants = {"read_gbs=1234"};
  const std::string text = plan_text(question, plan_on(question, test::kind("h200")));
  EXPECT_THAT(text, HasSubstr("read_gbs                 1234 GB/s"));
}

}  // namespace
}  // namespace tutti
