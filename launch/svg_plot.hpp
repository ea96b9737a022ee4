// Plots as SVG that stands by itself: lines with error bars over a few panels, in colours that can
// be read on light and on dark.
#pragma once

#include <string>
#include <vector>

namespace tutti {

struct PlotPoint {
  double x = 0;
  double y = 0;
  double least = 0;  // of the error bar; none where least == most
  double most = 0;
};

struct PlotSeries {
  std::string name;
  std::vector<PlotPoint> points;  // in the order of the line
  bool line = true;               // between the points
  bool dashed = false;            // a line to compare with: without marks
};

// Axes begin at 0. Points that are not finite are left out.
struct PlotPanel {
  std::string title;
  std::string x_name;
  std::string y_name;
  std::vector<PlotSeries> series;
};

// Panels side by side, with a title above. Whole numbers of x are what is labelled.
std::string svg_plot(const std::string& title, const std::vector<PlotPanel>& panels);

// Text as it stands in XML and HTML, between tags or in quotes; control characters become spaces.
std::string xml_escaped(const std::string& text);

// A step of 1, 2 or 5 times a power of ten that divides [0, most] into at most `steps`.
double plot_step(double most, int steps);

}  // namespace tutti
