#include "launch/scaling_report.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "tests/launch/scaling_rows.hpp"
#include "tests/launch/xml_check.hpp"
#include "tests/support/scratch_folder.hpp"

namespace tutti {
namespace {

using ::testing::HasSubstr;

ScalingOptions usual_options() {
  ScalingOptions options;
  options.price = {.per_gpu_hour = 3.6, .unit = "units"};
  options.command = "tutti bench scaling \"m <1>.h5\"";
  return options;
}

ScalingReport usual_report() {
  ScalingReport report = test::scaling_report_of(
      {test::scaling_row_that_does_not_fit(1, "wants 3 GiB, \"2\" are to be had, <1> & more"),
       test::scaling_row({.ranks = 2}, {200, 210}, {0.010, 0.011}),
       test::scaling_row({.ranks = 3}, {270, 280}, {0.008, 0.009})});
  report.rows[2].predicted = ScalingPrediction{.output_speed = 302.5, .seconds_per_token = 0.0088};
  return report;
}

// Fields of a line, quotes undone.
std::vector<std::vector<std::string>> parse_csv(const std::string& text) {
  std::vector<std::vector<std::string>> lines(1);
  std::string field;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted && c == '"' && i + 1 < text.size() && text[i + 1] == '"') {
      field += text[++i];
    } else if (c == '"') {
      quoted = !quoted;
    } else if (!quoted && (c == ',' || c == '\n')) {
      lines.back().push_back(std::exchange(field, {}));
      if (c == '\n') {
        lines.emplace_back();
      }
    } else if (quoted || c != '\r') {
      field += c;
    }
  }
  EXPECT_FALSE(quoted);
  lines.pop_back();
  return lines;
}

TEST(ScalingReport, TheTableMarksTheBestAndSaysWhatDoesNotFit) {
  const ScalingTable table = scaling_table(usual_report(), usual_options());
  ASSERT_EQ(table.rows.size(), 3u);
  for (const auto& row : table.rows) {
    EXPECT_EQ(row.size(), table.head.size());
  }
  EXPECT_EQ(table.rows[0][1], "does not fit");
  EXPECT_EQ(table.rows[1][1], "205.0 ");
  EXPECT_EQ(table.rows[2][1], "275.0*");
  EXPECT_EQ(table.rows[1][3], "102.5");
  EXPECT_EQ(table.rows[1][4], "100.0%");
  EXPECT_EQ(table.rows[1][9], "–");
  EXPECT_EQ(table.rows[2][9], "302.5 (+10%)");
  EXPECT_THAT(table.notes.front(), HasSubstr("1 does not fit: wants 3 GiB"));
  EXPECT_THAT(scaling_text(usual_report(), usual_options()), HasSubstr("fingerprint 0123456789ab"));
}

TEST(ScalingReport, JsonCarriesIdentityCountsAndRows) {
  const nlohmann::json json =
      nlohmann::json::parse(scaling_json_text(usual_report(), usual_options()));
  EXPECT_EQ(json["benchmark"], "scaling");
  EXPECT_EQ(json["model"]["fingerprint"], "0123456789abcdef");
  EXPECT_EQ(json["model"]["parameters"], 7000000000);
  EXPECT_EQ(json["model"]["dtype"], "bf16");
  EXPECT_EQ(json["counts"], (std::vector{1, 2, 3}));
  EXPECT_EQ(json["hosts"], (std::vector<std::string>{"node1", "node1", "node2"}));
  EXPECT_EQ(json["devices"][0], "NVIDIA X");
  EXPECT_TRUE(json["devices"][2].is_null());
  EXPECT_FALSE(json["rows"][0]["fits"]);
  EXPECT_THAT(json["rows"][0]["why_not"].get<std::string>(), HasSubstr("3 GiB"));
  EXPECT_EQ(json["rows"][1]["output_tokens_per_second"]["repeats"], (std::vector{200.0, 210.0}));
  EXPECT_TRUE(json["rows"][1]["predicted"].is_null());
  EXPECT_DOUBLE_EQ(json["rows"][2]["predicted"]["output_tokens_per_second"], 302.5);
  EXPECT_EQ(json["verdicts"]["throughput"]["best"], "3");
  EXPECT_TRUE(json["verdicts"]["throughput"]["certain"]);
}

TEST(ScalingReport, JsonLivesWithPathsThatAreNoUtf8) {
  ScalingOptions options = usual_options();
  options.command = "tutti bench scaling \xff.h5";
  EXPECT_NO_THROW(nlohmann::json::parse(scaling_json_text(usual_report(), options)));
}

TEST(ScalingReport, CsvQuotesNamesAndLeavesUnknownsEmpty) {
  const auto lines = parse_csv(scaling_csv(usual_report(), usual_options()));
  ASSERT_EQ(lines.size(), 4u);
  for (const auto& line : lines) {
    EXPECT_EQ(line.size(), lines[0].size());
  }
  const auto column = [&](const std::string& name) {
    const auto found = std::find(lines[0].begin(), lines[0].end(), name);
    EXPECT_NE(found, lines[0].end()) << name;
    return static_cast<std::size_t>(found - lines[0].begin());
  };
  EXPECT_EQ(lines[1][column("model")], "a <b> & \"c\", d");
  EXPECT_EQ(lines[1][column("output_tokens_per_second")], "");
  EXPECT_EQ(lines[1][column("why_not")], "wants 3 GiB, \"2\" are to be had, <1> & more");
  EXPECT_EQ(lines[2][column("output_tokens_per_second")], "205");
  EXPECT_EQ(lines[3][column("gpus")], "3");
}

TEST(ScalingReport, PlotAndPageAreWellFormed) {
  EXPECT_EQ(test::xml_fault(scaling_svg(usual_report(), usual_options())), "");
  const std::string page = scaling_html(usual_report(), usual_options());
  // The style is no XML, the rest is.
  const std::size_t style = page.find("<style>");
  const std::size_t end = page.find("</style>");
  ASSERT_NE(style, std::string::npos);
  const std::string rest =
      page.substr(0, style) + page.substr(end + std::string("</style>").size());
  EXPECT_EQ(test::xml_fault(rest), "");
  EXPECT_THAT(page, HasSubstr("<svg xmlns="));
  EXPECT_THAT(page, HasSubstr("tutti bench scaling &quot;m &lt;1&gt;.h5&quot;"));
  EXPECT_THAT(page, HasSubstr("0123456789abcdef"));
}

TEST(ScalingReport, FilesAreReplacedAsAWhole) {
  const test::ScratchFolder scratch;
  ScalingOptions options = usual_options();
  options.out = scratch.path() / "deep" / "er";
  prepare_scaling_folder(options.out);
  EXPECT_TRUE(std::filesystem::is_empty(options.out));
  write_scaling_files(usual_report(), options);
  write_scaling_files(usual_report(), options);
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(options.out)) {
    EXPECT_GT(entry.file_size(), 200u) << entry.path();
    ++files;
  }
  EXPECT_EQ(files, 4u);
  std::ifstream json(options.out / "scaling.json");
  EXPECT_EQ(nlohmann::json::parse(json)["rows"].size(), 3u);
}

TEST(ScalingReport, AFolderThatCannotBeMadeIsNamed) {
  const test::ScratchFolder scratch;
  const auto in_the_way = scratch.write("file", "x");
  EXPECT_THAT([&] { prepare_scaling_folder(in_the_way / "sub"); },
              ::testing::ThrowsMessage<Error>(HasSubstr("choose another folder with --out")));
  EXPECT_THAT([&] { prepare_scaling_folder(in_the_way); },
              ::testing::ThrowsMessage<Error>(HasSubstr("--out")));
}

}  // namespace
}  // namespace tutti
