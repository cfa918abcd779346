#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <optional>

#include "commands.h"
#include "paths.h"
#include "results.h"
#include "sdsclip/base/files.h"
#include "sdsclip/base/sha256.h"
#include "sdsclip/models/clip_model.h"
#include "sdsclip/scoring/clip_scorer.h"

namespace sdsclip {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

/// The bundle's identity, or one of bundle and tuned weights together.
std::string model_identity(const Bundle& bundle, const std::string& tuned) {
  return tuned.empty() ? bundle.sha256 : sha256(bundle.sha256 + sha256_of_file(tuned));
}

}  // namespace

void run_eval(const Arguments& arguments) {
  const EvalArguments& eval = arguments.eval;
  const fs::path clip = bundle_path(eval.clip);
  const std::string label = eval.tuned.empty() ? fmt::format("eval-{}", clip.filename().string())
                                               : fmt::format("eval-{}-tuned", clip.filename().string());
  const std::vector<BenchmarkRun> runs = plan_runs(eval.scoring, label);
  const Bundle bundle = read_bundle(clip, BundleKind::kClip);
  const std::string identity = model_identity(bundle, eval.tuned);
  const Placement placement = prepare_compute(compute_options(arguments.common));
  const ClipModel model = [&] {
    ClipModel loaded(bundle, placement);
    if (!eval.tuned.empty()) load_tuned(loaded, eval.tuned);
    return loaded;
  }();
  ClipScoreOptions options;
  options.image_batch = eval.batch;
  options.quiet = arguments.common.quiet;

  std::vector<std::pair<BenchmarkRun, std::vector<Metric>>> done;
  for (const BenchmarkRun& run : runs) {
    const Clock::time_point start = Clock::now();
    const CaseTable table = run.benchmark->load({run.data, eval.scoring.limit, eval.scoring.skip_missing});
    create_folder(run.out);
    const RunIdentity run_identity =
        clip_run_identity(model, identity, std::string(run.benchmark->name), options);
    ScoreStore store(run.out / "scores.sqlite", run_identity, table, store_opening(eval.scoring));
    ClipScoring scoring = eval.scoring.judge_only ? judge_stored_clip(table, store)
                                                  : score_with_clip(model, table, options, store);
    nlohmann::ordered_json settings = settings_json(list_options(options));
    settings["clip"] = clip.string();
    settings["tuned"] = eval.tuned;
    settings["data"] = run.data.string();
    settings["limit"] = eval.scoring.limit;
    settings["precision"] = arguments.common.precision;
    const ScoredRun scored{store.identity(), std::move(scoring.scores), scoring.work, scoring.matches};
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    done.emplace_back(run, finish_run("eval", run, table, scored, std::move(settings), seconds, store));
  }
  print_overview(done);
}

}  // namespace sdsclip
