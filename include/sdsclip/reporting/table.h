#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sdsclip/benchmarks/data_check.h"
#include "sdsclip/benchmarks/metrics.h"

namespace sdsclip {

/// A table of texts. The first column is left-aligned; the others hold numbers and are right-aligned.
struct Table {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows = {};  ///< each as long as the header
};

/// The table for a terminal: columns padded with spaces, a rule below the header, a final line break.
std::string format_terminal(const Table& table);

/// The table in Markdown; `|` in a cell is escaped.
std::string format_markdown(const Table& table);

/// A value with its interval: `0.310 [0.265, 0.356]`.
std::string format_with_interval(const Metric& metric);

/// The same of the metric with that name; `-` if there is none.
std::string interval_cell(std::span<const Metric> metrics, std::string_view name);

/// Every metric of one run: value with interval, n, ties.
Table metric_table(std::span<const Metric> metrics);

/// One line per macro average with groups of one case, naming the first five groups; empty if there is none.
std::string format_groups_of_one(std::span<const Metric> metrics);

/// One row of a comparison of runs.
struct NamedMetrics {
  std::string name;  ///< of the run or model
  std::vector<Metric> metrics;
};

/// One row per run and one column per metric in `columns`; `-` if a run lacks the metric.
Table comparison_table(std::span<const NamedMetrics> runs, std::span<const std::string> columns);

/// Compares two runs, one row per metric: both values, the difference with its interval, the discordant
/// marks, McNemar's p-value, and the significantly better run (`winner_of`).
Table difference_table(std::span<const PairedDifference> differences);

/// The output of `sdsclip data check`: counts beside the published ones, and the missing files (the first
/// five by name).
std::string format_data_report(const DataReport& report);

/// The number of terminal columns of `text`: UTF-8 code points, with wide ones (East Asian, emoji) counted
/// twice and combining marks not at all.
std::size_t display_width(std::string_view text);

}  // namespace sdsclip
