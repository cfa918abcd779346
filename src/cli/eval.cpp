#include "eval.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <optional>

#include "paths.h"
#include "results.h"
#include "sdsclip/base/filesystem.h"
#include "sdsclip/base/folder_lock.h"
#include "sdsclip/base/log.h"
#include "sdsclip/base/sha256.h"
#include "sdsclip/base/stopwatch.h"
#include "sdsclip/models/clip_model.h"
#include "sdsclip/scoring/clip_scorer.h"

namespace sdsclip {
namespace {

constexpr std::int64_t kTextsAnImage = 4;  // texts are short: so many of them take the memory of an image

/// The bundle's identity, or one of bundle and tuned weights together.
std::string model_identity(const Bundle& bundle, const std::string& tuned) {
  return tuned.empty() ? bundle.sha256 : sha256(bundle.sha256 + sha256_of_file(tuned));
}

/// The model under evaluation. What identifies it is known at once; it is loaded when a run first needs it.
class EvaluatedModel {
 public:
  explicit EvaluatedModel(const EvalCommand& command)
      : tuned_(command.tuned),
        bundle_(read_bundle(bundle_path(command.clip), BundleKind::kClip)),
        sha256_(model_identity(bundle_, tuned_)),
        placement_(prepare_compute(command.compute)) {}

  [[nodiscard]] RunIdentity identity(const std::string& benchmark, const ClipScoreOptions& options) const {
    return clip_run_identity(bundle_, placement_, sha256_, benchmark, options);
  }
  const ClipModel& load() {
    if (!model_) {
      model_.emplace(bundle_, placement_);
      if (!tuned_.empty()) load_tuned(*model_, tuned_);
    }
    return *model_;
  }

 private:
  std::string tuned_;
  Bundle bundle_;
  std::string sha256_;
  Placement placement_;
  std::optional<ClipModel> model_;
};

ClipScoreOptions score_options(const EvalCommand& command) {
  ClipScoreOptions options = command.score;
  // The other way round, kTextsAnImage * image_batch could be too large for its type.
  if (options.image_batch < options.text_batch / kTextsAnImage) {
    options.text_batch = kTextsAnImage * options.image_batch;
  }
  options.quiet = command.quiet;
  return options;
}

ordered_json settings_of(const ClipScoreOptions& options, const BenchmarkRun& run,
                         const EvalCommand& command) {
  ordered_json settings = settings_json(list_options(options));
  settings["clip"] = bundle_path(command.clip).string();
  settings["tuned"] = command.tuned;
  settings["data"] = run.data.string();
  settings["limit"] = command.scoring.limit;
  settings["precision"] = precision_name(command.compute.precision);
  return settings;
}

/// Scores one benchmark, or prints what a complete run of the same settings has left. Returns the metrics.
/// Without a model, stored scores are judged.
std::vector<Metric> evaluate(const EvalCommand& command, const BenchmarkRun& run,
                             const ClipScoreOptions& options, EvaluatedModel* model) {
  const ScoringOptions& scoring = command.scoring;
  const Stopwatch stopwatch;
  const FolderLock lock(run.out);
  const std::optional<RunResult> earlier = earlier_result("eval", run);
  const CaseTable table =
      run.benchmark->load({run.data, scoring.limit, scoring.skip_missing, scoring.confine_data});
  const std::string benchmark(run.benchmark->name);
  RunIdentity identity = model != nullptr ? model->identity(benchmark, options)
                                          : RunIdentity{.scorer = "clip", .benchmark = benchmark};
  identity.data = data_options(run, scoring);
  const fs::path file = run.out / "scores.sqlite";
  // A model that cannot be loaded leaves no store of its own, which would keep the right model out of the
  // folder.
  if (model != nullptr && !fs::exists(file)) model->load();
  ScoreStore store(file, identity, table, store_opening(scoring));
  if (model != nullptr && earlier && is_finished(*earlier, store, ordered_json::object())) {
    log_info("{}: had finished already", run.out.string());
    print_result(*earlier, table);
    return earlier->metrics;
  }
  ClipScoring scored = model != nullptr ? score_with_clip(model->load(), table, options, store)
                                        : judge_stored_clip(table, store);
  const ScoredRun result{store.identity(), std::move(scored.scores), scored.work, scored.matches};
  const double seconds = stopwatch.seconds();
  return finish_run("eval", run, table, result, settings_of(options, run, command), seconds, store);
}

}  // namespace

void run(const EvalCommand& command) {
  const fs::path clip = bundle_path(command.clip);
  const std::string label = command.tuned.empty() ? fmt::format("eval-{}", clip.filename().string())
                                                  : fmt::format("eval-{}-tuned", clip.filename().string());
  const std::vector<BenchmarkRun> runs = plan_runs(command.scoring, label);
  std::optional<EvaluatedModel> model;  // judging stored scores needs none
  if (!command.scoring.judge_only) model.emplace(command);
  const ClipScoreOptions options = score_options(command);
  std::vector<std::pair<BenchmarkRun, std::vector<Metric>>> done;
  for (const BenchmarkRun& run : runs) {
    done.emplace_back(run, evaluate(command, run, options, model ? &*model : nullptr));
  }
  print_overview(done);
}

}  // namespace sdsclip
