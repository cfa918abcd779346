#include "html.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace sdsclip::html {
namespace {

constexpr int kLabelWidth = 300;
constexpr int kPlotWidth = 480;
constexpr int kRowHeight = 22;
constexpr int kCurveHeight = 220;
constexpr int kMargin = 24;
constexpr std::array<std::string_view, 5> kColours = {"#1f5fa8", "#b3541e", "#3b7d3b", "#7a3b8f", "#555555"};

constexpr std::string_view kStyle = R"(
body { font: 15px/1.5 system-ui, sans-serif; color: #1a1a1a; }
body { max-width: 72em; margin: 2em auto; padding: 0 1em; }
table { border-collapse: collapse; margin: 1em 0; display: block; overflow-x: auto; }
table { font-variant-numeric: tabular-nums; }
th, td { padding: 0.2em 0.8em; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
svg { max-width: 100%; height: auto; margin: 0.5em 0; }
svg text { font: 12px system-ui, sans-serif; fill: #1a1a1a; }
)";

std::string cells(const std::vector<std::string>& texts, std::string_view element) {
  std::string row = "<tr>";
  for (const std::string& text : texts) row += fmt::format("<{0}>{1}</{0}>", element, escape(text));
  return row + "</tr>\n";
}

std::string svg(std::string_view title, int width, int height, const std::string& content) {
  return fmt::format(R"(<svg viewBox="0 0 {0} {1}" width="{0}" height="{1}" role="img"><title>{2}</title>)",
                     width, height, escape(title)) +
         "\n" + content + "</svg>\n";
}

std::string text_at(double x, double y, std::string_view anchor, std::string_view text) {
  return fmt::format(R"(<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>)", x, y, anchor,
                     escape(text)) +
         "\n";
}

std::string line(double x1, double y1, double x2, double y2, std::string_view colour) {
  return fmt::format(R"(<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" stroke="{}"/>)", x1, y1, x2, y2,
                     colour) +
         "\n";
}

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();

  void include(double value) {
    if (!std::isfinite(value)) return;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  [[nodiscard]] bool is_empty() const { return low > high; }
  /// The position of a value, 0 to 1; the middle if all are equal.
  [[nodiscard]] double share(double value) const { return high > low ? (value - low) / (high - low) : 0.5; }
};

// Splits a curve into runs of finite values.
std::vector<std::string> polylines(const LossCurve& curve, const Range& steps, const Range& values) {
  std::vector<std::string> lines(1);
  for (std::size_t i = 0; i < curve.steps.size(); ++i) {
    if (!std::isfinite(curve.values[i])) {
      lines.emplace_back();
      continue;
    }
    const double x = kMargin + kPlotWidth * steps.share(static_cast<double>(curve.steps[i]));
    const double y = kMargin + kCurveHeight * (1 - values.share(curve.values[i]));
    lines.back() += fmt::format("{:.1f},{:.1f} ", x, y);
  }
  return lines;
}

}  // namespace

std::string escape(std::string_view text) {
  constexpr std::string_view kSpecial = "&<>\"";
  constexpr std::array<std::string_view, 4> kWritten = {"&amp;", "&lt;", "&gt;", "&quot;"};
  std::string escaped;
  for (const char& letter : text) {
    const std::size_t found = kSpecial.find(letter);
    escaped += found == std::string_view::npos ? std::string_view(&letter, 1) : kWritten[found];
  }
  return escaped;
}

std::string heading(std::string_view text) {
  return fmt::format("<h2>{}</h2>\n", escape(text));
}

std::string paragraph(std::string_view text) {
  return fmt::format("<p>{}</p>\n", escape(text));
}

std::string table(const Table& table) {
  std::string text = "<table>\n" + cells(table.header, "th");
  for (const std::vector<std::string>& row : table.rows) text += cells(row, "td");
  return text + "</table>\n";
}

std::string interval_figure(std::string_view title, const std::vector<IntervalRow>& rows) {
  const int height = kMargin * 2 + kRowHeight * static_cast<int>(rows.size());
  const auto x_of = [](double value) { return kLabelWidth + kPlotWidth * value; };
  std::string content;
  for (int tick = 0; tick <= 5; ++tick) {
    const double x = x_of(tick / 5.0);
    content += line(x, kMargin, x, height - kMargin, "#dddddd");
    content += text_at(x, height - kMargin / 3.0, "middle", fmt::format("{:.1f}", tick / 5.0));
  }
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const IntervalRow& row = rows[i];
    const double y = kMargin + kRowHeight * (static_cast<double>(i) + 0.5);
    content += text_at(kLabelWidth - 10.0, y + 4, "end", row.label);
    content += line(x_of(row.interval.low), y, x_of(row.interval.high), y, kColours[0]);
    content +=
        fmt::format(R"(<circle cx="{:.1f}" cy="{:.1f}" r="4" fill="{}"/>)", x_of(row.value), y, kColours[0]);
    content += "\n";
  }
  return svg(title, kLabelWidth + kPlotWidth + kMargin, height, content);
}

std::string curve_figure(std::string_view title, const std::vector<LossCurve>& curves) {
  Range steps;
  Range values;
  for (const LossCurve& curve : curves) {
    for (const std::int64_t step : curve.steps) steps.include(static_cast<double>(step));
    for (const double value : curve.values) values.include(value);
  }
  if (steps.is_empty() || values.is_empty()) return "";
  const int bottom = kMargin + kCurveHeight;
  std::string content = line(kMargin, bottom, kMargin + kPlotWidth, bottom, "#888888");
  content += text_at(kMargin, bottom + 16, "start", fmt::format("step {:.0f}", steps.low));
  content += text_at(kMargin + kPlotWidth, bottom + 16, "end", fmt::format("step {:.0f}", steps.high));
  content += text_at(kMargin, kMargin - 8, "start", fmt::format("{:.4g}", values.high));
  content += text_at(kMargin, bottom - 6, "start", fmt::format("{:.4g}", values.low));
  for (std::size_t i = 0; i < curves.size(); ++i) {
    const std::string_view colour = kColours[i % kColours.size()];
    for (const std::string& points : polylines(curves[i], steps, values)) {
      content += fmt::format(R"(<polyline points="{}" fill="none" stroke="{}"/>)", points, colour) + "\n";
    }
    const double y = kMargin + kRowHeight * (static_cast<double>(i) + 0.5);
    content += line(kMargin + kPlotWidth + 12, y, kMargin + kPlotWidth + 32, y, colour);
    content += text_at(kMargin + kPlotWidth + 38, y + 4, "start", curves[i].name);
  }
  return svg(title, kMargin + kPlotWidth + kLabelWidth / 2, bottom + kMargin, content);
}

std::string page(std::string_view title, std::string_view body) {
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta "
      "charset=\"utf-8\">\n<title>{0}</title>\n<style>{1}</style>\n"
      "</head>\n<body>\n<h1>{0}</h1>\n{2}</body>\n</html>\n",
      escape(title), kStyle, body);
}

}  // namespace sdsclip::html
