#include "compare.h"

#include <algorithm>
#include <cstdio>

#include "sdsclip/base/error.h"
#include "sdsclip/base/filesystem.h"
#include "sdsclip/base/log.h"
#include "sdsclip/base/text.h"
#include "sdsclip/benchmarks/metrics.h"
#include "sdsclip/reporting/table.h"
#include "sdsclip/scoring/stored_marks.h"

namespace sdsclip {
namespace {

const fs::path kStore = "scores.sqlite";

/// Two stores that are to be compared.
struct StorePair {
  fs::path a;
  fs::path b;
};

/// The sub-folders that hold a store, by name: `eval all` leaves one a benchmark.
std::vector<fs::path> benchmark_folders(const fs::path& run) {
  std::vector<fs::path> names;
  if (!fs::is_directory(run)) throw input_error("{}: no such run folder", run.string());
  for (const fs::directory_entry& entry : fs::directory_iterator(run)) {
    if (fs::exists(entry.path() / kStore)) names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<StorePair> pair_stores(const fs::path& a, const fs::path& b) {
  if (fs::exists(a / kStore) || fs::exists(b / kStore)) return {{a / kStore, b / kStore}};
  const std::vector<fs::path> in_a = benchmark_folders(a);
  const std::vector<fs::path> in_b = benchmark_folders(b);
  std::vector<StorePair> pairs;
  for (const fs::path& name : in_a) {
    if (std::binary_search(in_b.begin(), in_b.end(), name))
      pairs.push_back({a / name / kStore, b / name / kStore});
  }
  if (pairs.empty()) {
    throw input_error("compare: {} and {} have no scored benchmark in common; expected scores.sqlite in both",
                      a.string(), b.string());
  }
  if (pairs.size() < in_a.size() || pairs.size() < in_b.size()) {
    log_warning("only the {} benchmarks that both runs have are compared, of {} and {}", pairs.size(),
                in_a.size(), in_b.size());
  }
  return pairs;
}

void check_comparable(const StorePair& paths, const StoredMarks& a, const StoredMarks& b) {
  if (a.benchmark != b.benchmark) {
    throw input_error("compare: {} is of benchmark {}, {} of {}; only runs of one benchmark can be compared",
                      paths.a.string(), a.benchmark, paths.b.string(), b.benchmark);
  }
  if (a.table_sha256 != b.table_sha256) {
    throw input_error(
        "compare: {} and {} were asked other cases; both runs need the same data, --limit and --skip-missing",
        paths.a.string(), paths.b.string());
  }
  const bool same_metrics =
      std::equal(a.metrics.begin(), a.metrics.end(), b.metrics.begin(), b.metrics.end(),
                 [](const MetricMarks& one, const MetricMarks& other) { return one.name == other.name; });
  if (!same_metrics) {
    throw input_error("compare: {} and {} were judged by other metrics; judge both again with --judge-only",
                      paths.a.string(), paths.b.string());
  }
}

std::vector<PairedDifference> compare(const StorePair& paths) {
  const StoredMarks a = read_stored_marks(paths.a);
  const StoredMarks b = read_stored_marks(paths.b);
  check_comparable(paths, a, b);
  const std::string title =
      fmt::format("{}: A {} ({}, {}), B {} ({}, {})", a.benchmark, a.model_name, a.scorer,
                  paths.a.parent_path().string(), b.model_name, b.scorer, paths.b.parent_path().string());
  std::printf("%s\n", terminal_text(title).c_str());
  std::vector<PairedDifference> differences;
  for (std::size_t i = 0; i < a.metrics.size(); ++i) {
    differences.push_back(compare_marks(a.metrics[i], b.metrics[i]));
  }
  return differences;
}

}  // namespace

void run(const CompareCommand& command) {
  bool first = true;
  for (const StorePair& paths : pair_stores(command.run_a, command.run_b)) {
    if (!first) std::fputs("\n", stdout);
    first = false;
    std::fputs(format_terminal(difference_table(compare(paths))).c_str(), stdout);
  }
  std::fputs("better: where the interval leaves 0 out and p is below 0.05; else no difference is shown\n",
             stdout);
}

}  // namespace sdsclip
