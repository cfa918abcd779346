#include "diffusion_score.h"

#include <fmt/format.h>

#include <cstdio>
#include <optional>

#include "paths.h"
#include "results.h"
#include "sdsclip/base/error.h"
#include "sdsclip/base/filesystem.h"
#include "sdsclip/base/folder_lock.h"
#include "sdsclip/base/log.h"
#include "sdsclip/base/sha256.h"
#include "sdsclip/base/stopwatch.h"
#include "sdsclip/benchmarks/candidates.h"
#include "sdsclip/models/teacher.h"
#include "sdsclip/reporting/table.h"
#include "sdsclip/scoring/diffusion_scorer.h"
#include "sdsclip/scoring/timestep_weights.h"

namespace sdsclip {
namespace {

constexpr const char* kCommand = "diffusion-score";

DiffusionScoreOptions score_options(const DiffusionScoreCommand& command) {
  DiffusionScoreOptions options = command.score;
  options.quiet = command.quiet;
  check_options(options);
  return options;
}

/// The run that scores candidates of training captions: no benchmark of `all`, and it needs a table.
BenchmarkRun captions_run(const DiffusionScoreCommand& command, const EstimatorOptions& estimator,
                          const std::string& label) {
  const ScoringOptions& scoring = command.scoring;
  if (command.candidates.empty()) {
    throw usage_error(
        "captions: --candidates is missing, expected a table of candidate captions; "
        "scripts/make_candidates.py makes one");
  }
  if (scoring.data.empty()) {
    throw usage_error(
        "captions: --data is missing, expected the folder that the table's file paths start from");
  }
  if (estimator.norm == ErrorNorm::kL2Unsquared) {
    throw usage_error(
        "captions: got the norm l2_unsquared, expected l2 or l1: targets are means over the latent's "
        "elements");
  }
  return {.benchmark = &captions_benchmark(),
          .data_set = "",
          .data = scoring.data,
          .out = scoring.out.empty() ? fs::path("runs") / label / "captions" : fs::path(scoring.out)};
}

std::vector<BenchmarkRun> runs_of(const DiffusionScoreCommand& command, const EstimatorOptions& estimator,
                                  const std::string& label) {
  if (command.scoring.benchmark == captions_benchmark().name)
    return {captions_run(command, estimator, label)};
  if (!command.candidates.empty()) {
    throw usage_error("--candidates belongs to the benchmark captions, got {}", command.scoring.benchmark);
  }
  return plan_runs(command.scoring, label);
}

CaseTable load_cases(const BenchmarkRun& run, const DiffusionScoreCommand& command) {
  const LoadOptions options{run.data, command.scoring.limit, command.scoring.skip_missing,
                            command.scoring.confine_data};
  return command.candidates.empty() ? run.benchmark->load(options)
                                    : load_candidates(options, command.candidates);
}

void print_convergence(const CaseTable& table, const Benchmark& benchmark, const EstimatorOptions& options,
                       const ScoreStore& store) {
  Table rows{{"samples", "evaluations"}, {}};
  for (const std::string_view name : benchmark.headline) rows.header.emplace_back(name);
  for (const ConvergencePoint& point : convergence_curve(table, benchmark, options, store)) {
    std::vector<std::string> row = {std::to_string(point.samples), std::to_string(point.sample_evaluations)};
    for (const std::string_view name : benchmark.headline) row.push_back(interval_cell(point.metrics, name));
    rows.rows.push_back(std::move(row));
  }
  std::fputs("\n", stdout);
  std::fputs(format_terminal(rows).c_str(), stdout);
}

/// What makes a result of stored errors: all that is no part of the run's identity.
ordered_json judging_of(const DiffusionScoreOptions& options) {
  const ordered_json all = settings_json(list_options(options));
  ordered_json judging = {{"sampling", {{"samples", options.sampling.samples}}},
                          {"estimator", all["estimator"]},
                          {"adaptive", all["adaptive"]}};
  const std::optional<std::string> weights = learned_weights_file(options.estimator.weight);
  if (weights) judging["weights_sha256"] = sha256_of_file(*weights);
  return judging;
}

/// What made the errors, judged as asked: of a run that is only judged, its own sampling and precision.
ordered_json settings_of(const DiffusionScoreOptions& options, const BenchmarkRun& run,
                         const DiffusionScoreCommand& command, const ScoreStore& store) {
  ordered_json settings = settings_json(list_options(options));
  settings.update(judging_of(options), /*merge_objects=*/true);
  if (!command.scoring.judge_only) settings["teacher"] = bundle_path(command.teacher).string();
  settings["data"] = run.data.string();
  if (!command.candidates.empty()) settings["candidates"] = command.candidates;
  settings["limit"] = command.scoring.limit;
  for (const auto& [key, value] : store.identity().settings) {
    if (key == "precision") settings[key] = value;
  }
  return settings;
}

/// The teacher. What identifies it is known at once; it is loaded when a run first needs it.
class ScoringTeacher {
 public:
  explicit ScoringTeacher(const DiffusionScoreCommand& command)
      : bundle_(read_bundle(bundle_path(command.teacher), BundleKind::kTeacher)),
        placement_(prepare_compute(command.compute)),
        compiled_(command.compiled) {}

  [[nodiscard]] RunIdentity identity(const std::string& benchmark,
                                     const DiffusionScoreOptions& options) const {
    return diffusion_run_identity(bundle_, placement_, benchmark, options);
  }
  [[nodiscard]] std::int64_t samples(const DiffusionScoreOptions& options) const {
    return planned_samples(bundle_, options.sampling);
  }
  DiffusionTeacher& load() {
    if (!teacher_) teacher_.emplace(bundle_, TeacherParts{.compiled = compiled_}, placement_);
    return *teacher_;
  }

 private:
  Bundle bundle_;
  Placement placement_;
  CompiledUse compiled_;
  std::optional<DiffusionTeacher> teacher_;
};

/// Without --resume only the identical run continues. With it, a stored run may be judged again or extended.
void check_same(const RunResult* earlier, const DiffusionScoreOptions& options, std::int64_t samples,
                const ScoreStore& store) {
  constexpr const char* kAdvice = "use --resume to extend it or judge it again, or give another --out";
  const std::int64_t stored = stored_samples(store);
  if (stored > 0 && stored != samples) {
    throw usage_error("{}: belongs to another run: its sampling.samples is {}, this run's is {}; {}",
                      store.path().string(), stored, samples, kAdvice);
  }
  ordered_json judging = judging_of(options);
  judging.erase("sampling");  // of a run that was stopped while it was extended, the result has fewer
  const std::string difference = earlier != nullptr ? judging_difference(*earlier, judging) : "";
  if (!difference.empty()) {
    throw usage_error("{}: belongs to another run: {}; {}", store.path().string(), difference, kAdvice);
  }
}

void print_evaluations(const ordered_json& settings) {
  std::printf("%lld sample evaluations used of %lld\n",
              static_cast<long long>(settings.value("sample_evaluations", std::int64_t{0})),
              static_cast<long long>(settings.value("full_evaluations", std::int64_t{0})));
}

/// Scores one benchmark, or prints what a complete run of the same settings has left. Returns the metrics.
/// Without a teacher, stored errors are judged.
std::vector<Metric> score(const DiffusionScoreCommand& command, const BenchmarkRun& run,
                          const DiffusionScoreOptions& options, ScoringTeacher* teacher) {
  const Stopwatch stopwatch;
  const FolderLock lock(run.out);
  const std::optional<RunResult> earlier = earlier_result(kCommand, run);
  const CaseTable table = load_cases(run, command);
  const std::string benchmark(run.benchmark->name);
  RunIdentity identity = teacher != nullptr ? teacher->identity(benchmark, options)
                                            : RunIdentity{.scorer = "diffusion", .benchmark = benchmark};
  identity.data = data_options(run, command.scoring);
  if (!command.candidates.empty()) identity.data.emplace_back("--candidates", command.candidates);
  const StoreOpening opening = store_opening(command.scoring);
  const fs::path file = run.out / "scores.sqlite";
  // As in eval: a teacher that cannot be loaded leaves no store of its own.
  if (teacher != nullptr && !fs::exists(file)) teacher->load();
  ScoreStore store(file, identity, table, opening);
  if (teacher != nullptr && earlier && is_finished(*earlier, store, judging_of(options))) {
    log_info("{}: had finished already", run.out.string());
    print_result(*earlier, table);
    print_evaluations(earlier->settings);
    if (command.convergence) print_convergence(table, *run.benchmark, options.estimator, store);
    return earlier->metrics;
  }
  if (opening == StoreOpening::kNew) {
    check_same(earlier ? &*earlier : nullptr, options, teacher->samples(options), store);
  }
  const DiffusionScoreOptions used = teacher != nullptr ? options : judging_options(options, store);
  DiffusionScoring scoring = teacher != nullptr ? score_with_diffusion(teacher->load(), table, used, store)
                                                : judge_stored_diffusion(table, used, store);
  ordered_json settings = settings_of(used, run, command, store);
  settings["sample_evaluations"] = scoring.sample_evaluations;
  settings["full_evaluations"] = scoring.full_evaluations;
  if (teacher != nullptr) settings["teacher_graph"] = teacher->load().graph_name();
  const ScoredRun scored{store.identity(), std::move(scoring.scores), scoring.work, scoring.matches};
  const double seconds = stopwatch.seconds();
  std::vector<Metric> metrics = finish_run(kCommand, run, table, scored, settings, seconds, store);
  print_evaluations(settings);
  if (command.convergence) print_convergence(table, *run.benchmark, options.estimator, store);
  return metrics;
}

}  // namespace

void run(const DiffusionScoreCommand& command) {
  const DiffusionScoreOptions options = score_options(command);
  const fs::path folder = bundle_path(command.teacher);
  const std::vector<BenchmarkRun> runs =
      runs_of(command, options.estimator, fmt::format("diffusion-score-{}", folder.filename().string()));
  std::optional<ScoringTeacher> teacher;  // judging stored errors needs none
  if (!command.scoring.judge_only) teacher.emplace(command);
  std::vector<std::pair<BenchmarkRun, std::vector<Metric>>> done;
  for (const BenchmarkRun& run : runs) {
    done.emplace_back(run, score(command, run, options, teacher ? &*teacher : nullptr));
  }
  print_overview(done);
}

}  // namespace sdsclip
