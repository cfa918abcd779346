#include "sdsclip/reporting/table.h"

#include <fmt/format.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include <algorithm>

#include "sdsclip/base/text.h"

namespace sdsclip {
namespace {

// Cells may hold any text: names of runs, models and tags come from files.
Table with_printable_cells(Table table) {
  for (std::string& title : table.header) title = terminal_text(title);
  for (std::vector<std::string>& row : table.rows) {
    for (std::string& cell : row) cell = terminal_text(cell);
  }
  return table;
}

std::string padding(std::size_t width, std::string_view text) {
  const std::size_t taken = display_width(text);
  return std::string(width > taken ? width - taken : 0, ' ');
}

std::vector<std::size_t> column_widths(const Table& table) {
  std::vector<std::size_t> widths;
  for (const std::string& title : table.header) widths.push_back(display_width(title));
  for (const std::vector<std::string>& row : table.rows) {
    for (std::size_t column = 0; column < row.size(); ++column) {
      widths[column] = std::max(widths[column], display_width(row[column]));
    }
  }
  return widths;
}

std::string aligned(const std::vector<std::string>& cells, const std::vector<std::size_t>& widths) {
  std::string line;
  for (std::size_t column = 0; column < cells.size(); ++column) {
    const std::string space = padding(widths[column], cells[column]);
    line += column == 0 ? cells[column] + space : "  " + space + cells[column];
  }
  return line.substr(0, line.find_last_not_of(' ') + 1);
}

std::string markdown_line(const std::vector<std::string>& cells) {
  std::string line = "|";
  for (const std::string& cell : cells) {
    line += ' ';
    for (const char letter : cell) line += letter == '|' ? "\\|" : std::string(1, letter);
    line += " |";
  }
  return line + "\n";
}

std::string signed_fraction(double value) {
  return fmt::format("{:+.3f}", value);
}

const char* winner_name(Winner winner) {
  if (winner == Winner::kNone) return "not shown";
  return winner == Winner::kA ? "A" : "B";
}

}  // namespace

std::size_t display_width(std::string_view text) {
  // Bytes that are not UTF-8 become replacement characters, as terminals show them.
  const icu::UnicodeString letters =
      icu::UnicodeString::fromUTF8(icu::StringPiece(text.data(), static_cast<std::int32_t>(text.size())));
  std::size_t width = 0;
  for (std::int32_t i = 0; i < letters.length(); i = letters.moveIndex32(i, 1)) {
    const UChar32 letter = letters.char32At(i);
    const std::int8_t category = u_charType(letter);
    const bool invisible =
        category == U_NON_SPACING_MARK || category == U_ENCLOSING_MARK || category == U_FORMAT_CHAR;
    const std::int32_t east_asian = u_getIntPropertyValue(letter, UCHAR_EAST_ASIAN_WIDTH);
    const bool wide = east_asian == U_EA_WIDE || east_asian == U_EA_FULLWIDTH;
    if (!invisible) width += wide ? 2 : 1;
  }
  return width;
}

std::string format_terminal(const Table& given) {
  const Table table = with_printable_cells(given);
  const std::vector<std::size_t> widths = column_widths(table);
  std::vector<std::string> rules;
  for (const std::size_t width : widths) rules.emplace_back(width, '-');
  std::string text = aligned(table.header, widths) + "\n" + aligned(rules, widths) + "\n";
  for (const std::vector<std::string>& row : table.rows) text += aligned(row, widths) + "\n";
  return text;
}

std::string format_markdown(const Table& given) {
  const Table table = with_printable_cells(given);
  std::string text = markdown_line(table.header) + "|";
  for (std::size_t column = 0; column < table.header.size(); ++column)
    text += column == 0 ? " --- |" : " ---: |";
  text += "\n";
  for (const std::vector<std::string>& row : table.rows) text += markdown_line(row);
  return text;
}

std::string format_with_interval(const Metric& metric) {
  return fmt::format("{:.3f} [{:.3f}, {:.3f}]", metric.value, metric.ci95.low, metric.ci95.high);
}

std::string interval_cell(std::span<const Metric> metrics, std::string_view name) {
  const std::optional<Metric> metric = find_metric(metrics, name);
  return metric ? format_with_interval(*metric) : "-";
}

Table metric_table(std::span<const Metric> metrics) {
  Table table{.header = {"metric", "value [95% interval]", "n", "ties"}};
  for (const Metric& metric : metrics) {
    table.rows.push_back(
        {metric.name, format_with_interval(metric), std::to_string(metric.n), std::to_string(metric.ties)});
  }
  return table;
}

std::string format_groups_of_one(std::span<const Metric> metrics) {
  constexpr std::size_t kNamed = 5;
  std::string text;
  for (const Metric& metric : metrics) {
    const std::vector<std::string>& groups = metric.groups_of_one;
    if (groups.empty()) continue;
    const std::span<const std::string> first(groups.data(), std::min(kNamed, groups.size()));
    const std::string rest =
        groups.size() > kNamed ? fmt::format(" and {} more", groups.size() - kNamed) : "";
    text += fmt::format(
        "{}: {} of its groups have one case each, whose variance the interval cannot include: {}{}\n",
        metric.name, groups.size(), join(first, ", "), rest);
  }
  return text;
}

Table comparison_table(std::span<const NamedMetrics> runs, std::span<const std::string> columns) {
  Table table{.header = {"run"}};
  table.header.insert(table.header.end(), columns.begin(), columns.end());
  for (const NamedMetrics& run : runs) {
    std::vector<std::string> row = {run.name};
    for (const std::string& column : columns) row.push_back(interval_cell(run.metrics, column));
    table.rows.push_back(std::move(row));
  }
  return table;
}

Table difference_table(std::span<const PairedDifference> differences) {
  Table table{.header = {"metric", "A", "B", "B - A [95% interval]", "only A", "only B", "p (McNemar)", "n",
                         "better"}};
  for (const PairedDifference& one : differences) {
    table.rows.push_back({one.name, fmt::format("{:.3f}", one.value_a), fmt::format("{:.3f}", one.value_b),
                          fmt::format("{} [{}, {}]", signed_fraction(one.difference),
                                      signed_fraction(one.ci95.low), signed_fraction(one.ci95.high)),
                          std::to_string(one.only_a_right), std::to_string(one.only_b_right),
                          fmt::format("{:.3g}", one.p_value), std::to_string(one.n),
                          winner_name(winner_of(one))});
  }
  return table;
}

std::string format_data_report(const DataReport& report) {
  constexpr std::size_t kNamed = 5;
  Table table{.header = {"part", "cases here", "cases published"}};
  for (const PartCount& part : report.parts) {
    table.rows.push_back(
        {part.name, std::to_string(part.cases), part.published ? std::to_string(*part.published) : "-"});
  }
  std::string text = fmt::format("{} in {}: {} images, {} captions\n", report.benchmark,
                                 terminal_text(report.data.string()), report.images, report.captions);
  text += format_terminal(table);
  if (report.missing_files.empty()) return text + "no image is missing\n";
  text += fmt::format("{} images are missing; {} cases need them:\n", report.missing_files.size(),
                      report.skipped_missing);
  for (std::size_t i = 0; i < std::min(kNamed, report.missing_files.size()); ++i) {
    text += "  " + terminal_text(report.missing_files[i].string()) + "\n";
  }
  if (report.missing_files.size() > kNamed) {
    text += fmt::format("  and {} more\n", report.missing_files.size() - kNamed);
  }
  return text;
}

}  // namespace sdsclip
