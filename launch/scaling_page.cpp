// Plot and page of tutti bench scaling, and the files in its folder.
#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "launch/build_info.hpp"
#include "launch/scaling_figures.hpp"
#include "launch/scaling_report.hpp"
#include "launch/svg_plot.hpp"

namespace tutti {
namespace {

PlotPoint point_of(const ScalingRow& row, const Interval& interval, double scale) {
  return {.x = static_cast<double>(row.shape.all_ranks()),
          .y = scale * interval.value,
          .least = scale * interval.least,
          .most = scale * interval.most};
}

// Straight through the origin and the row of the fewest GPUs.
PlotSeries ideal_line(const std::vector<PlotPoint>& measured) {
  PlotSeries ideal{.name = "ideal", .points = {}, .dashed = true};
  double most = 0;
  const PlotPoint* fewest = nullptr;
  for (const PlotPoint& point : measured) {
    most = std::max(most, point.x);
    fewest = fewest == nullptr || point.x < fewest->x ? &point : fewest;
  }
  if (fewest != nullptr) {
    ideal.points = {{.x = fewest->x, .y = fewest->y},
                    {.x = most, .y = fewest->y * most / fewest->x}};
  }
  return ideal;
}

void add_predicted(PlotPanel& panel, std::vector<PlotPoint> points) {
  if (!points.empty()) {
    panel.series.push_back({.name = "predicted", .points = std::move(points), .line = true});
  }
}

PlotPanel throughput_panel(const ScalingReport& report) {
  PlotSeries one{.name = "one model", .points = {}};
  PlotSeries many{.name = "replicas", .points = {}, .line = false};
  std::vector<PlotPoint> all;
  std::vector<PlotPoint> predicted;
  for (const ScalingRow& row : report.rows) {
    if (const std::optional<Interval> speed = speed_of(row)) {
      (row.shape.replicas == 1 ? one : many).points.push_back(point_of(row, *speed, 1));
      all.push_back(point_of(row, *speed, 1));
    }
    if (const std::optional<double> speed = predicted_speed_of(row);
        speed && row.shape.replicas == 1) {
      predicted.push_back({.x = static_cast<double>(row.shape.all_ranks()), .y = *speed});
    }
  }
  PlotPanel panel{.title = "Throughput",
                  .x_name = unit_of_work(report) + "s",
                  .y_name = "output tokens per second",
                  .series = {std::move(one), ideal_line(all)}};
  if (!many.points.empty()) {
    panel.series.push_back(std::move(many));
  }
  add_predicted(panel, std::move(predicted));
  return panel;
}

PlotPanel latency_panel(const ScalingReport& report) {
  PlotSeries one{.name = "one request, median", .points = {}};
  std::vector<PlotPoint> predicted;
  for (const ScalingRow& row : report.rows) {
    if (const std::optional<Interval> token = token_seconds_of(row)) {
      one.points.push_back(point_of(row, *token, 1e3));
    }
    if (const std::optional<double> seconds = predicted_token_seconds_of(row)) {
      predicted.push_back({.x = static_cast<double>(row.shape.all_ranks()), .y = 1e3 * *seconds});
    }
  }
  PlotPanel panel{.title = "Time per token",
                  .x_name = unit_of_work(report) + "s",
                  .y_name = "milliseconds",
                  .series = {std::move(one)}};
  add_predicted(panel, std::move(predicted));
  return panel;
}

std::string html_row(const std::vector<std::string>& cells, std::string_view tag) {
  std::string row = "<tr>";
  for (const std::string& cell : cells) {
    row += fmt::format("<{0}>{1}</{0}>", tag, xml_escaped(cell));
  }
  return row + "</tr>\n";
}

// Under another name first: who looks meanwhile finds the old one or the new one.
void replace_file(const std::filesystem::path& path, const std::string& text) {
  const std::filesystem::path fresh = path.string() + ".part";
  errno = 0;
  std::ofstream file(fresh, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (!file) {
    throw Error(fmt::format("{}: cannot be written: {}; choose another folder with --out",
                            path.string(), std::strerror(errno)));
  }
  std::filesystem::rename(fresh, path);
}

}  // namespace

std::string scaling_svg(const ScalingReport& report, const ScalingOptions&) {
  const std::string title = fmt::format("{} ({} parameters, {})", report.model.name,
                                        human_count(report.model.parameters), report.model.dtype);
  return svg_plot(title, {throughput_panel(report), latency_panel(report)});
}

std::string scaling_html(const ScalingReport& report, const ScalingOptions& options) {
  const ScalingTable table = scaling_table(report, options);
  std::string page = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n<title>Scaling of "
      "{}</title>\n<style>\n:root {{ color-scheme: light dark; }}\nbody {{ font-family: "
      "sans-serif; "
      "margin: 2em; }}\ntable {{ border-collapse: collapse; }}\nth, td {{ padding: 0.3em 0.8em; "
      "text-align: right; border-bottom: 1px solid #8886; }}\nsvg {{ max-width: 100%; height: "
      "auto; "
      "}}\ncode {{ overflow-wrap: anywhere; }}\n</style>\n</head>\n<body>\n<h1>Scaling of "
      "{}</h1>\n",
      xml_escaped(report.model.name), xml_escaped(report.model.name));
  for (const std::string& line : scaling_heading(report, options)) {
    page += fmt::format("<p>{}</p>\n", xml_escaped(line));
  }
  page += "<table>\n" + html_row(table.head, "th");
  for (const auto& row : table.rows) {
    page += html_row(row, "td");
  }
  page += "</table>\n<ul>\n";
  for (const std::string& note : table.notes) {
    page += fmt::format("<li>{}</li>\n", xml_escaped(note));
  }
  page += "</ul>\n" + scaling_svg(report, options);
  page += fmt::format("<p><code>{}</code></p>\n<p>Tutti {}, fingerprint <code>{}</code></p>\n",
                      xml_escaped(options.command), xml_escaped(version()),
                      xml_escaped(report.model.fingerprint));
  return page + "</body>\n</html>\n";
}

void prepare_scaling_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error && !std::filesystem::is_directory(folder)) {
    throw Error(fmt::format("{}: cannot be made: {}; choose another folder with --out",
                            folder.string(), error.message()));
  }
  const std::filesystem::path probe = folder / "scaling.probe";
  replace_file(probe, "");
  std::filesystem::remove(probe, error);
}

void write_scaling_files(const ScalingReport& report, const ScalingOptions& options) {
  const std::filesystem::path& folder = options.out;
  replace_file(folder / "scaling.json", scaling_json_text(report, options));
  replace_file(folder / "scaling.csv", scaling_csv(report, options));
  replace_file(folder / "scaling.svg", scaling_svg(report, options));
  replace_file(folder / "scaling.html", scaling_html(report, options));
}

}  // namespace tutti
