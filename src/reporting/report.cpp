#include "sdsclip/reporting/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "html.h"
#include "sdsclip/benchmarks/benchmark.h"
#include "sdsclip/reporting/published.h"
#include "sdsclip/reporting/table.h"

namespace sdsclip {
namespace {

std::vector<const ReportRun*> runs_of(std::span<const ReportRun> runs, std::string_view benchmark) {
  std::vector<const ReportRun*> found;
  for (const ReportRun& run : runs) {
    if (run.result && run.result->benchmark == benchmark) found.push_back(&run);
  }
  return found;
}

std::string overview(std::span<const ReportRun> runs) {
  Table table{.header = {"run", "command", "benchmark", "model", "seconds", "UNet evaluations",
                         "image encodings", "text encodings", "left out"}};
  for (const ReportRun& run : runs) {
    if (!run.result) {
      table.rows.push_back({run.name, "train", "-", "-", "-", "-", "-", "-", "-"});
      continue;
    }
    const RunResult& result = *run.result;
    table.rows.push_back(
        {run.name, result.command, result.benchmark, result.model.name, fmt::format("{:.1f}", result.seconds),
         std::to_string(result.work.unet_evaluations), std::to_string(result.work.image_encodings),
         std::to_string(result.work.text_encodings), std::to_string(result.skipped_missing)});
  }
  return html::heading("Runs") + html::table(table);
}

std::string time_section(std::span<const ReportRun> runs) {
  const Table table = time_table(runs);
  if (table.rows.empty()) return "";
  return html::heading("Time per match") +
         html::paragraph(
             "A match is one image scored with one caption. The paper reports 18 times CLIP's time "
             "for the diffusion score. Here CLIP's time is that of the fastest eval run of the same "
             "benchmark.") +
         html::table(table);
}

std::string benchmark_section(const Benchmark& benchmark, const std::vector<const ReportRun*>& runs) {
  std::vector<NamedMetrics> named;
  for (const ReportRun* run : runs) named.push_back({.name = run->name, .metrics = run->result->metrics});
  std::vector<std::string> columns;
  std::string figures;
  for (const std::string_view metric_name : benchmark.headline) {
    std::vector<html::IntervalRow> rows;
    for (const NamedMetrics& run : named) {
      const std::optional<Metric> metric = find_metric(run.metrics, metric_name);
      if (metric) rows.push_back({.label = run.name, .value = metric->value, .interval = metric->ci95});
    }
    if (rows.empty()) continue;
    columns.emplace_back(metric_name);
    figures += html::paragraph(metric_name) + html::interval_figure(metric_name, rows);
  }
  return html::heading(benchmark.name) + html::paragraph(benchmark.summary) +
         html::table(comparison_table(named, columns)) + figures;
}

std::string value_or_dash(const std::optional<double>& value) {
  return value ? fmt::format("{:.3g}", *value) : "-";
}

// A measured row tells for how many of the paper's columns it has a value.
std::vector<std::string> measured_row(const ReportRun& run, bool& measures_any) {
  std::vector<std::string> row = {"measured: " + run.name, ""};
  for (const PublishedColumn& column : kPublishedColumns) {
    const std::optional<Metric> metric = find_metric(run.result->metrics, column.metric);
    measures_any = measures_any || metric.has_value();
    row.push_back(metric ? fmt::format("{:.3f}", metric->value) : "-");
  }
  return row;
}

std::string beside_the_paper(std::span<const ReportRun> runs) {
  Table table{.header = {"model", "method"}};
  for (const PublishedColumn& column : kPublishedColumns) table.header.emplace_back(column.title);
  bool measures_any = false;
  for (const ReportRun& run : runs) {
    if (!run.result) continue;
    bool measures = false;
    std::vector<std::string> row = measured_row(run, measures);
    if (measures) table.rows.push_back(std::move(row));
    measures_any = measures_any || measures;
  }
  if (!measures_any) return "";
  for (const PublishedRow& published : published_rows()) {
    std::vector<std::string> row = {fmt::format("Table {}: {}", published.table, published.model),
                                    std::string(published.method.empty() ? "pre-trained" : published.method)};
    for (const std::optional<double>& value : published.values) row.push_back(value_or_dash(value));
    table.rows.push_back(std::move(row));
  }
  return html::heading("Beside the paper's Tables 1 to 3") +
         html::paragraph(
             "Winoground columns are text scores; ARO-Overall is read as the mean of ARO-Relation and "
             "ARO-Attribution. A run compares with a published row only on the published data sets.") +
         html::table(table);
}

/// Seconds per match of the fastest `eval` run of a benchmark; infinite if there is none.
double clip_time(std::span<const ReportRun> runs, std::string_view benchmark) {
  double fastest = std::numeric_limits<double>::infinity();
  for (const ReportRun* run : runs_of(runs, benchmark)) {
    const RunResult& result = *run->result;
    if (result.command == "eval" && result.seconds_a_match > 0)
      fastest = std::min(fastest, result.seconds_a_match);
  }
  return fastest;
}

}  // namespace

Table time_table(std::span<const ReportRun> runs) {
  Table table{.header = {"run", "command", "benchmark", "matches", "ms per match", "times CLIP"}};
  for (const ReportRun& run : runs) {
    if (!run.result || run.result->seconds_a_match <= 0) continue;
    const RunResult& result = *run.result;
    const double clip = clip_time(runs, result.benchmark);
    table.rows.push_back({run.name, result.command, result.benchmark, std::to_string(result.matches),
                          fmt::format("{:.4g}", 1000 * result.seconds_a_match),
                          std::isfinite(clip) ? fmt::format("{:.1f}", result.seconds_a_match / clip) : "-"});
  }
  return table;
}

std::string html_report(std::span<const ReportRun> runs) {
  std::string body = overview(runs);
  for (const Benchmark& benchmark : all_benchmarks()) {
    const std::vector<const ReportRun*> scored = runs_of(runs, benchmark.name);
    if (!scored.empty()) body += benchmark_section(benchmark, scored);
  }
  body += time_section(runs);
  for (const ReportRun& run : runs) {
    if (run.losses.empty()) continue;
    body += html::heading("Losses of " + run.name);
    // The losses' scales differ by orders of magnitude, so each has its own figure.
    for (const LossCurve& curve : run.losses) body += html::curve_figure(curve.name, {curve});
  }
  return html::page("sdsclip report", body + beside_the_paper(runs));
}

}  // namespace sdsclip
