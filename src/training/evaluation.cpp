#include "sdsclip/training/evaluation.h"

#include <algorithm>
#include <optional>

#include "sdsclip/base/error.h"
#include "sdsclip/base/files.h"
#include "sdsclip/base/text.h"
#include "sdsclip/benchmarks/benchmark.h"
#include "sdsclip/scoring/clip_scorer.h"
#include "sdsclip/scoring/score_store.h"

namespace sdsclip {

struct Evaluation::Task {
  const Benchmark* benchmark = nullptr;
  CaseTable table;
};

namespace {

/// The only data set of a benchmark; several would give metrics of the same name.
fs::path one_data_set(const Benchmark& benchmark, const fs::path& root) {
  const fs::path folder = root / benchmark.name;
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) {
    throw usage_error("evaluate.data: {}: no such folder; docs/datasets.md says how to prepare {}",
                      folder.string(), benchmark.name);
  }
  const std::vector<fs::path> sets = data_sets(benchmark, folder);
  if (sets.size() > 1) {
    throw usage_error("evaluate.data: {} holds {} data sets, expected one; name a folder with one of them",
                      folder.string(), sets.size());
  }
  return sets.front();
}

}  // namespace

void visit_options(OptionVisitor& visitor, EvaluateOptions& options) {
  visitor.option("benchmarks", options.benchmarks,
                 "Benchmarks to score the student on, such as [winoground, zeroshot]; empty: no evaluation.");
  visitor.option(
      "data", options.data,
      "Folder with one folder per benchmark; empty: $SDSCLIP_DATA, or data if that is not set. Name "
      "validation data here to select checkpoints without the test set.");
  visitor.count("limit", options.limit, {0, kMostCount},
                "Use only the first cases of each part, for speed; 0: all.");
  visitor.option(
      "metric", options.metric,
      "Metric for best-checkpoint selection and early stopping, such as winoground/group; empty: the first "
      "metric of the first benchmark.");
  visitor.count("patience", options.patience, {0, kMostCount},
                "Stop after this many evaluations in a row without a better value; 0: never.");
}

void check_evaluate_options(const EvaluateOptions& options) {
  for (const std::string& name : options.benchmarks) find_benchmark(name);
  if (options.benchmarks.empty() && (options.patience > 0 || !options.metric.empty())) {
    throw usage_error(
        "evaluate.benchmarks: got none, expected one at least, as evaluate.metric or evaluate.patience is "
        "set");
  }
}

std::string deciding_metric(const EvaluateOptions& options) {
  if (!options.metric.empty() || options.benchmarks.empty()) return options.metric;
  return find_benchmark(options.benchmarks.front()).headline.front();
}

Evaluation::Evaluation(const EvaluateOptions& options, const DataOptions& data) : convert_(data.convert) {
  const fs::path root = options.data.empty() ? default_data_folder() : fs::path(options.data);
  for (const std::string& name : options.benchmarks) {
    const Benchmark& benchmark = find_benchmark(name);
    tasks_.push_back({&benchmark, benchmark.load({.data = one_data_set(benchmark, root),
                                                  .limit = options.limit,
                                                  .confine = data.confine})});
  }
  if (tasks_.empty()) return;
  const std::string deciding = deciding_metric(options);
  const std::vector<std::string> known = metric_names();
  if (std::find(known.begin(), known.end(), deciding) == known.end()) {
    throw usage_error("evaluate.metric: got '{}', expected one of {}{}", deciding, join(known, ", "),
                      did_you_mean(deciding, known));
  }
}

Evaluation::~Evaluation() = default;
Evaluation::Evaluation(Evaluation&&) noexcept = default;
Evaluation& Evaluation::operator=(Evaluation&&) noexcept = default;

std::vector<std::string> Evaluation::metric_names() const {
  std::vector<std::string> names;
  for (const Task& task : tasks_) {
    for (const MetricMarks& marks : task.benchmark->judge(task.table, CaseScores(task.table))) {
      names.push_back(marks.name);
    }
  }
  return names;
}

std::vector<Metric> Evaluation::run(const ClipModel& model, const fs::path& scratch) const {
  ClipScoreOptions options;
  options.convert = convert_;
  options.quiet = true;
  std::vector<Metric> metrics;
  for (const Task& task : tasks_) {
    std::error_code ignored;
    fs::remove_all(scratch, ignored);  // scores that a killed run left belong to other weights
    create_folder(scratch);
    const RunIdentity identity =
        clip_run_identity(model, "in training", std::string(task.benchmark->name), options);
    std::optional<ScoreStore> store(std::in_place, scratch / "scores.sqlite", identity, task.table,
                                    StoreOpening::kNew);
    const ClipScoring scoring = score_with_clip(model, task.table, options, *store);
    store.reset();
    fs::remove_all(scratch, ignored);
    const std::vector<Metric> more = summarise(task.benchmark->judge(task.table, scoring.scores));
    metrics.insert(metrics.end(), more.begin(), more.end());
  }
  return metrics;
}

}  // namespace sdsclip
