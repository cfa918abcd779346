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
  std::optional<ClipModel> model;  // judging stored scores needs none
  std::string model_sha256;
  if (!eval.scoring.judge_only) {
    const Bundle bundle = read_bundle(clip, BundleKind::kClip);
    model_sha256 = model_identity(bundle, eval.tuned);
    model.emplace(bundle, prepare_compute(compute_options(arguments.common)));
    if (!eval.tuned.empty()) load_tuned(*model, eval.tuned);
  }
  ClipScoreOptions options;
  options.image_batch = eval.batch;
  options.cache = eval.cache;
  options.quiet = arguments.common.quiet;

  std::vector<std::pair<BenchmarkRun, std::vector<Metric>>> done;
  for (const BenchmarkRun& run : runs) {
    const Clock::time_point start = Clock::now();
    const CaseTable table = run.benchmark->load({run.data, eval.scoring.limit, eval.scoring.skip_missing});
    create_folder(run.out);
    const std::string benchmark(run.benchmark->name);
    const RunIdentity identity = model ? clip_run_identity(*model, model_sha256, benchmark, options)
                                       : RunIdentity{.scorer = "clip", .benchmark = benchmark};
    ScoreStore store(run.out / "scores.sqlite", identity, table, store_opening(eval.scoring));
    ClipScoring scoring =
        model ? score_with_clip(*model, table, options, store) : judge_stored_clip(table, store);
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
