#include "launch/svg_plot.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace tutti {
namespace {

constexpr double kPanelWidth = 420;
constexpr double kPanelHeight = 340;
constexpr double kTop = 34;  // for the title above all panels
constexpr double kLeft = 64;
constexpr double kRight = 16;
constexpr double kHead = 48;  // for a panel's title and its key
constexpr double kFoot = 48;
constexpr std::string_view kInk = "#808080";
constexpr std::array<std::string_view, 4> kColours = {"#2f86d6", "#e0701a", "#3fa34d", "#a05fc4"};

bool finite(const PlotPoint& point) {
  return std::isfinite(point.x) && std::isfinite(point.y);
}

// Where data of one panel lie on the page.
class Frame {
 public:
  Frame(const PlotPanel& panel, double left) : left_(left + kLeft), top_(kTop + kHead) {
    for (const PlotSeries& series : panel.series) {
      for (const PlotPoint& point : series.points) {
        if (finite(point)) {
          most_x_ = std::max(most_x_, point.x);
          most_y_ = std::max({most_y_, point.y, std::isfinite(point.most) ? point.most : 0.0});
        }
      }
    }
    most_x_ = most_x_ > 0 ? most_x_ * 1.04 : 1;
    most_y_ = most_y_ > 0 ? most_y_ * 1.08 : 1;
  }

  double left() const { return left_; }
  double top() const { return top_; }
  double right() const { return left_ + kPanelWidth - kLeft - kRight; }
  double bottom() const { return top_ + kPanelHeight - kHead - kFoot; }
  double most_x() const { return most_x_; }
  double most_y() const { return most_y_; }
  double x(double value) const { return left_ + value / most_x_ * (right() - left_); }
  double y(double value) const { return bottom() - value / most_y_ * (bottom() - top_); }

 private:
  double left_;
  double top_;
  double most_x_ = 0;
  double most_y_ = 0;
};

std::string text_at(double x, double y, std::string_view anchor, const std::string& text,
                    std::string_view more = "") {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\"{}>{}</text>\n", x, y,
                     anchor, more, xml_escaped(text));
}

std::string line_at(double x1, double y1, double x2, double y2, std::string_view style) {
  return fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" {}/>\n", x1, y1,
                     x2, y2, style);
}

std::string axes(const PlotPanel& panel, const Frame& frame) {
  const std::string thin = fmt::format("stroke=\"{}\" stroke-opacity=\"0.3\"", kInk);
  const std::string axis = fmt::format("stroke=\"{}\"", kInk);
  std::string svg;
  const double step_y = plot_step(frame.most_y(), 6);
  for (int i = 0; i * step_y <= frame.most_y(); ++i) {
    const double y = frame.y(i * step_y);
    svg += line_at(frame.left(), y, frame.right(), y, i == 0 ? axis : thin);
    svg += text_at(frame.left() - 6, y + 4, "end", fmt::format("{:.6g}", i * step_y));
  }
  const double step_x = std::max(1.0, plot_step(frame.most_x(), 10));
  for (int i = 0; i * step_x <= frame.most_x(); ++i) {
    svg += text_at(frame.x(i * step_x), frame.bottom() + 16, "middle",
                   fmt::format("{:.6g}", i * step_x));
  }
  svg += line_at(frame.left(), frame.top(), frame.left(), frame.bottom(), axis);
  const double middle = (frame.left() + frame.right()) / 2;
  svg += text_at(middle, frame.bottom() + 36, "middle", panel.x_name);
  const double up = (frame.top() + frame.bottom()) / 2;
  svg += text_at(
      0, 0, "middle", panel.y_name,
      fmt::format(" transform=\"translate({:.1f} {:.1f}) rotate(-90)\"", frame.left() - 48, up));
  svg += text_at(middle, frame.top() - 30, "middle", panel.title, " font-weight=\"bold\"");
  return svg;
}

std::string points_of(const PlotSeries& series, const Frame& frame, std::string_view colour) {
  std::string path;
  std::string marks;
  for (const PlotPoint& point : series.points) {
    if (!finite(point)) {
      continue;
    }
    const double x = frame.x(point.x);
    const double y = frame.y(point.y);
    path += fmt::format("{}{:.1f},{:.1f}", path.empty() ? "" : " ", x, y);
    const std::string stroke = fmt::format("stroke=\"{}\" stroke-width=\"1.5\"", colour);
    if (point.least < point.most && std::isfinite(point.least) && std::isfinite(point.most)) {
      const double low = frame.y(point.least);
      const double high = frame.y(point.most);
      marks += line_at(x, low, x, high, stroke) + line_at(x - 4, low, x + 4, low, stroke) +
               line_at(x - 4, high, x + 4, high, stroke);
    }
    marks +=
        fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.5\" fill=\"{}\"/>\n", x, y, colour);
  }
  if (!series.line || path.empty()) {
    return marks;
  }
  const std::string line = fmt::format(
      "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{}\"{}/>\n", path, colour,
      series.dashed ? "1.2" : "2", series.dashed ? " stroke-dasharray=\"5 4\"" : "");
  return series.dashed ? line : line + marks;
}

std::string panel_at(const PlotPanel& panel, double left) {
  const Frame frame(panel, left);
  std::string svg = axes(panel, frame);
  const double y = frame.top() - 8;
  double x = frame.left() + 4;
  std::size_t next = 0;
  for (const PlotSeries& series : panel.series) {
    const std::string_view colour = series.dashed ? kInk : kColours[next++ % kColours.size()];
    svg += points_of(series, frame, colour);
    svg += line_at(x, y - 4, x + 16, y - 4,
                   fmt::format("stroke=\"{}\" stroke-width=\"2\"{}", colour,
                               series.dashed ? " stroke-dasharray=\"5 4\"" : ""));
    svg += text_at(x + 20, y, "start", series.name);
    x += 34 + 6.2 * static_cast<double>(series.name.size());  // about as wide as it will be
  }
  return svg;
}

}  // namespace

std::string svg_plot(const std::string& title, const std::vector<PlotPanel>& panels) {
  const double width = kPanelWidth * static_cast<double>(panels.size());
  const double height = kTop + kPanelHeight;
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" "
      "width=\"{0:.0f}\" height=\"{1:.0f}\" font-family=\"sans-serif\" font-size=\"12\" "
      "fill=\"{2}\" role=\"img\">\n<title>{3}</title>\n",
      width, height, kInk, xml_escaped(title));
  svg += text_at(width / 2, 20, "middle", title, " font-size=\"14\"");
  double left = 0;
  for (const PlotPanel& panel : panels) {
    svg += panel_at(panel, left);
    left += kPanelWidth;
  }
  return svg + "</svg>\n";
}

std::string xml_escaped(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        escaped += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
    }
  }
  return escaped;
}

double plot_step(double most, int steps) {
  double step = std::pow(10.0, std::floor(std::log10(most / steps)));
  for (const double factor : {2.0, 2.5, 2.0}) {  // 1, 2, 5, 10
    if (most / step <= steps) {
      break;
    }
    step *= factor;
  }
  return step;
}

}  // namespace tutti
