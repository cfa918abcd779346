#pragma once

#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "sdsclip/base/filesystem.h"
#include "sdsclip/base/options.h"
#include "sdsclip/benchmarks/benchmark.h"
#include "sdsclip/benchmarks/metrics.h"
#include "sdsclip/reporting/result.h"
#include "sdsclip/scoring/score_store.h"
#include "shared_options.h"

namespace sdsclip {

/// A result with command, benchmark and the versions of what computes.
RunResult new_result(const std::string& command, const std::string& benchmark);

/// Options as a JSON object, sections nested.
ordered_json settings_json(std::span<const OptionDescription> options);

/// A benchmark that is to be run, and where.
struct BenchmarkRun {
  const Benchmark* benchmark = nullptr;
  std::string data_set;  ///< which one, where the benchmark has several below its folder; else empty
  fs::path data;
  fs::path out;
};

/// The benchmarks that `scoring` names, a run a data set; `all` is every one whose folder is below --data.
/// `label` names the run folder where --out does not.
std::vector<BenchmarkRun> plan_runs(const ScoringOptions& scoring, const std::string& label);

/// How the run's store is to be opened.
StoreOpening store_opening(const ScoringOptions& scoring);

/// What the case table of a run is loaded from, for `RunIdentity::data`.
std::vector<std::pair<std::string, std::string>> data_options(const BenchmarkRun& run,
                                                              const ScoringOptions& scoring);

/// The result in a run's folder, if there is one that can be read.
std::optional<RunResult> stored_result(const fs::path& out);

/// The same of a scoring run. Throws `Error(kUsage)` where it is of another command or benchmark: a run's
/// folder holds one run.
std::optional<RunResult> earlier_result(const std::string& command, const BenchmarkRun& run);

/// Whether `earlier` is what this run would give: the run in `store`, which is of the same identity, was
/// completed and judged by `judging`, the settings that are no part of its identity.
bool is_finished(const RunResult& earlier, const ScoreStore& store, const ordered_json& judging);

/// Names the first setting of `judging` that `earlier` has with another value, with both values; empty: none.
std::string judging_difference(const RunResult& earlier, const ordered_json& judging);

/// The table of metrics, and what a match took.
void print_result(const RunResult& result, const CaseTable& table);

/// A scored benchmark, whatever scored it.
struct ScoredRun {
  RunIdentity identity;
  CaseScores scores;
  WorkCounters work;
  std::int64_t matches = 0;
};

/// Judges, writes marks into the store and `OUT/result.json`, and prints the table. Returns the metrics.
std::vector<Metric> finish_run(const std::string& command, const BenchmarkRun& run, const CaseTable& table,
                               const ScoredRun& scored, ordered_json settings, double seconds,
                               ScoreStore& store);

/// One table of the headline metrics of several benchmarks.
void print_overview(const std::vector<std::pair<BenchmarkRun, std::vector<Metric>>>& runs);

}  // namespace sdsclip
