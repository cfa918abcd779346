#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sdsclip/reporting/report.h"
#include "sdsclip/reporting/table.h"

// The parts of a report page. All return complete elements with escaped texts.
namespace sdsclip::html {

std::string escape(std::string_view text);

std::string heading(std::string_view text);
std::string paragraph(std::string_view text);
std::string table(const Table& table);

/// A value with its interval: one line of the figure.
struct IntervalRow {
  std::string label;
  double value = 0;
  Interval interval;
};

/// Dots with their intervals on an axis from 0 to 1, as inline SVG.
std::string interval_figure(std::string_view title, const std::vector<IntervalRow>& rows);

/// The curves over their steps, as inline SVG; a value that is not finite interrupts the curve.
std::string curve_figure(std::string_view title, const std::vector<LossCurve>& curves);

/// The complete page for a body.
std::string page(std::string_view title, std::string_view body);

}  // namespace sdsclip::html
