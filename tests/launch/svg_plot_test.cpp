#include "launch/svg_plot.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "tests/launch/xml_check.hpp"

namespace tutti {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::size_t times(const std::string& text, const std::string& word) {
  std::size_t count = 0;
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
    ++count;
  }
  return count;
}

TEST(SvgPlot, IsWellFormedWhateverTheNames) {
  const PlotPanel panel{.title = "<script>&\"'",
                        .x_name = "]]>",
                        .y_name = "a\tb\x01",
                        .series = {{.name = "&amp;", .points = {{.x = 1, .y = 2}}}}};
  const std::string svg = svg_plot("a < b & \"c\"", {panel, panel});
  EXPECT_EQ(test::xml_fault(svg), "");
  EXPECT_THAT(svg, HasSubstr("a &lt; b &amp; &quot;c&quot;"));
  EXPECT_THAT(svg, Not(HasSubstr("<script>")));
  EXPECT_THAT(svg, HasSubstr("xmlns=\"http://www.w3.org/2000/svg\""));
}

TEST(SvgPlot, DrawsAMarkForEachPointAndABarForEachSpread) {
  const PlotPanel panel{
      .title = "t",
      .x_name = "x",
      .y_name = "y",
      .series = {
          {.name = "s", .points = {{.x = 1, .y = 2}, {.x = 2, .y = 3, .least = 2.5, .most = 3.5}}},
          {.name = "ideal", .points = {{.x = 1, .y = 2}, {.x = 2, .y = 4}}, .dashed = true}}};
  const std::string svg = svg_plot("title", {panel});
  EXPECT_EQ(times(svg, "<circle"), 2u);
  EXPECT_EQ(times(svg, "stroke-width=\"1.5\""), 3u);  // the bar and its ends
  EXPECT_EQ(times(svg, "<polyline"), 2u);
  EXPECT_EQ(times(svg, "stroke-dasharray"), 2u);  // the line and its key
}

TEST(SvgPlot, LivesWithNothingToShow) {
  const double infinite = std::numeric_limits<double>::infinity();
  const PlotPanel panel{.title = "t",
                        .x_name = "x",
                        .y_name = "y",
                        .series = {{.name = "s", .points = {{.x = 1, .y = infinite}}}}};
  for (const std::string& svg : {svg_plot("t", {panel}), svg_plot("t", {})}) {
    EXPECT_EQ(test::xml_fault(svg), "");
    EXPECT_THAT(svg, Not(HasSubstr("inf")));
    EXPECT_THAT(svg, Not(HasSubstr("nan")));
  }
}

TEST(SvgPlot, StepsAreRoundAndFew) {
  EXPECT_DOUBLE_EQ(plot_step(10, 10), 1);
  EXPECT_DOUBLE_EQ(plot_step(11, 6), 2);
  EXPECT_DOUBLE_EQ(plot_step(24000, 6), 5000);
  EXPECT_DOUBLE_EQ(plot_step(0.7, 6), 0.2);
  for (double most = 1e-6; most < 1e9; most *= 1.37) {
    const double steps = most / plot_step(most, 6);
    EXPECT_LE(steps, 6.0001) << most;
    EXPECT_GT(steps, 2) << most;
  }
}

}  // namespace
}  // namespace tutti
