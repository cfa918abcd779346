#include "sdsclip/reporting/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "report.h"
#include "sdsclip/base/error.h"
#include "sdsclip/base/files.h"
#include "sdsclip/base/log.h"
#include "sdsclip/reporting/table.h"

namespace sdsclip {
namespace {

/// The scoring runs of a training run lie in its sub-folders, a folder a benchmark.
std::vector<ReportRun> runs_of(const std::string& folder) {
  std::vector<ReportRun> runs = read_runs(folder);
  if (!fs::exists(fs::path(folder) / "result.json") && !fs::exists(fs::path(folder) / "log.jsonl"))
    return runs;
  std::vector<fs::path> inner;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (fs::exists(entry.path() / "scores.sqlite")) inner.push_back(entry.path());
  }
  std::sort(inner.begin(), inner.end());
  for (const fs::path& path : inner) {
    for (ReportRun& run : read_runs(path)) runs.push_back(std::move(run));
  }
  return runs;
}

/// The scores of a run folder and of the scoring runs below it.
NamedMetrics row_of(const std::string& folder, const std::vector<ReportRun>& runs) {
  NamedMetrics row{fs::path(folder).lexically_normal().string(), {}};
  for (const ReportRun& run : runs) {
    if (!run.result) continue;
    for (const Metric& metric : run.result->metrics) {
      if (is_score(metric)) row.metrics.push_back(metric);
    }
  }
  return row;
}

/// The headline metrics that any row has.
std::vector<std::string> columns_of(const std::vector<NamedMetrics>& rows) {
  std::vector<std::string> columns;
  for (const Benchmark& benchmark : all_benchmarks()) {
    for (const std::string_view name : benchmark.headline) {
      const bool measured = std::any_of(rows.begin(), rows.end(), [&](const NamedMetrics& row) {
        return find_metric(row.metrics, name).has_value();
      });
      if (measured) columns.emplace_back(name);
    }
  }
  return columns;
}

/// "0.310 (0.300 to 0.325)": mean and range over runs that differ in their seed; "-" where one lacks the
/// metric.
std::string mean_and_range(const std::vector<NamedMetrics>& rows, const std::string& column) {
  std::vector<double> values;
  for (const NamedMetrics& row : rows) {
    if (const std::optional<Metric> metric = find_metric(row.metrics, column))
      values.push_back(metric->value);
  }
  if (values.size() != rows.size()) return "-";
  double sum = 0;
  for (const double value : values) sum += value;
  return fmt::format("{:.3f} ({:.3f} to {:.3f})", sum / static_cast<double>(values.size()),
                     *std::min_element(values.begin(), values.end()),
                     *std::max_element(values.begin(), values.end()));
}

/// Runs `X`, `X/seed-1`, `X/seed-2` are seeds of the run `X`.
std::string without_seed(const std::string& name) {
  return name.substr(0, name.find("/seed-"));
}

Table summary_table(const std::vector<NamedMetrics>& rows) {
  const std::vector<std::string> columns = columns_of(rows);
  Table runs = comparison_table(rows, columns);
  Table table{runs.header, {}};
  std::vector<NamedMetrics> seeds;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    table.rows.push_back(std::move(runs.rows[i]));
    seeds.push_back(rows[i]);
    const std::string name = without_seed(rows[i].name);
    if (i + 1 < rows.size() && without_seed(rows[i + 1].name) == name) continue;
    if (seeds.size() > 1) {
      std::vector<std::string> cells = {fmt::format("{}: mean of {} seeds (range)", name, seeds.size())};
      for (const std::string& column : columns) cells.push_back(mean_and_range(seeds, column));
      table.rows.push_back(std::move(cells));
    }
    seeds.clear();
  }
  return table;
}

}  // namespace

void run(const ReportCommand& command) {
  std::vector<ReportRun> all;
  std::vector<NamedMetrics> rows;
  for (const std::string& folder : command.runs) {
    std::vector<ReportRun> runs = runs_of(folder);
    rows.push_back(row_of(folder, runs));
    for (ReportRun& run : runs) all.push_back(std::move(run));
  }
  std::fputs(format_terminal(summary_table(rows)).c_str(), stdout);
  const Table times = time_table(all);
  if (!times.rows.empty()) std::fputs(("\n" + format_terminal(times)).c_str(), stdout);
  if (command.out.empty()) return;
  write_file_atomically(command.out, html_report(all));
  log_info("{}: written", command.out);
}

}  // namespace sdsclip
