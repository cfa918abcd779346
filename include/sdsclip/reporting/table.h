#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sdsclip/benchmarks/data_check.h"
#include "sdsclip/benchmarks/metrics.h"

namespace sdsclip {

/// A table of texts. The first column is aligned to the left, the others, which hold numbers, to the right.
struct Table {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;  ///< each as long as the header
};

/// Columns padded with spaces, a rule below the header; ends with a line break.
std::string format_terminal(const Table& table);

/// The same as a Markdown table; `|` in a cell is escaped.
std::string format_markdown(const Table& table);

/// `0.310 [0.265, 0.356]`
std::string format_with_interval(const Metric& metric);

/// Every metric of one run: value with interval, n, ties.
Table metric_table(std::span<const Metric> metrics);

/// A line per macro average that has groups of one case, naming the first five of them; empty where none has.
std::string format_groups_of_one(std::span<const Metric> metrics);

/// One row of a comparison of runs.
struct NamedMetrics {
  std::string name;  ///< of the run or model
  std::vector<Metric> metrics;
};

/// A row a run, a column a metric name of `columns`; `-` where a run lacks the metric.
Table comparison_table(std::span<const NamedMetrics> runs, std::span<const std::string> columns);

/// Two runs beside each other: a row a metric, both values, the difference with its interval, the discordant
/// marks and McNemar's p-value, and which one is better beyond chance (`winner_of`).
Table difference_table(std::span<const PairedDifference> differences);

/// `sdsclip data check`: the counts beside the published ones, and which files are missing (the first five by
/// name).
std::string format_data_report(const DataReport& report);

/// How many columns a terminal gives to `text`: UTF-8 code points, wide ones (East Asian, emoji) twice,
/// combining marks not at all.
std::size_t display_width(std::string_view text);

}  // namespace sdsclip
