// Drives the scorers for test_diffusion_score.py and test_clip_score.py.
//
//   score_probe noise SEED SAMPLES CHANNELS SIZE OUT                    float32 noise of samples 0, 1, ...
//   score_probe clip BENCHMARK DATA BUNDLE OUT                          scores to OUT, metrics as JSON
//   score_probe diffusion BENCHMARK DATA BUNDLE OUT [SETTING...]        the same for a teacher
//   score_probe measure BENCHMARK DATA BUNDLE OUT [SETTING...]          work and processor time as JSON
//
// OUT is a scores.sqlite; a SETTING is preset=NAME or key=value.
#include <ATen/ATen.h>

#include <ctime>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "probe_main.h"
#include "sample_evaluator.h"
#include "sdsclip/base/error.h"
#include "sdsclip/base/files.h"
#include "sdsclip/benchmarks/benchmark.h"
#include "sdsclip/benchmarks/metrics.h"
#include "sdsclip/scoring/clip_scorer.h"
#include "sdsclip/scoring/diffusion_scorer.h"

namespace {

using nlohmann::ordered_json;
using namespace sdsclip;

ordered_json metrics_of(const Benchmark& benchmark, const CaseTable& table, const CaseScores& scores) {
  ordered_json result = ordered_json::object();
  for (const Metric& metric : summarise(benchmark.judge(table, scores))) {
    result[metric.name] = {{"value", metric.value}, {"n", metric.n}, {"ties", metric.ties}};
  }
  return result;
}

void write_noise(const std::vector<std::string>& arguments) {
  const BundleLatent latent{.channels = std::stoll(arguments[3]), .size = std::stoll(arguments[4])};
  std::string bytes;
  for (std::int64_t k = 0; k < std::stoll(arguments[2]); ++k) {
    const at::Tensor noise = sample_noise(std::stoll(arguments[1]), k, latent);
    bytes.append(static_cast<const char*>(noise.data_ptr()), noise.nbytes());
  }
  write_file_atomically(arguments[5], bytes);
}

ordered_json score_clip(const Benchmark& benchmark, const CaseTable& table,
                        const std::vector<std::string>& arguments) {
  const ClipModel model(read_bundle(arguments[3], BundleKind::kClip),
                        prepare_compute({.device = "cpu", .threads = 1}));
  const ClipScoreOptions options{.image_batch = 4, .text_batch = 4, .quiet = true};
  const RunIdentity identity = clip_run_identity(model, model.bundle().sha256, arguments[1], options);
  ScoreStore store(arguments[4], identity, table, StoreOpening::kNew);
  return metrics_of(benchmark, table, score_with_clip(model, table, options, store).scores);
}

DiffusionScoreOptions options_from(const std::vector<std::string>& settings) {
  DiffusionScoreOptions options;
  ConfigNode root;
  root.kind = ConfigNode::Kind::kMap;
  for (const std::string& setting : settings) {
    if (setting.starts_with("preset=")) {
      apply_preset(setting.substr(7), options);
    } else {
      apply_setting(root, setting);
    }
  }
  bind_options(root, options);
  options.quiet = true;
  return options;
}

struct DiffusionRun {
  DiffusionScoring scoring;
  double processor_seconds = 0;  // without loading the teacher
};

DiffusionRun run_diffusion(const CaseTable& table, const std::vector<std::string>& arguments) {
  DiffusionTeacher teacher(read_bundle(arguments[3], BundleKind::kTeacher),
                           {.compiled = CompiledUse::kIfFitting},
                           prepare_compute({.device = "cpu", .threads = 1}));
  const DiffusionScoreOptions options = options_from({arguments.begin() + 5, arguments.end()});
  const std::clock_t start = std::clock();
  ScoreStore store(arguments[4], diffusion_run_identity(teacher, arguments[1], options), table,
                   StoreOpening::kResume);
  DiffusionScoring scoring = score_with_diffusion(teacher, table, options, store);
  return {std::move(scoring), static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC};
}

ordered_json measure(const DiffusionRun& run) {
  return {{"unet_evaluations", run.scoring.work.unet_evaluations},
          {"vae_encodings", run.scoring.work.vae_encodings},
          {"text_encodings", run.scoring.work.text_encodings},
          {"sample_evaluations", run.scoring.sample_evaluations},
          {"processor_seconds", run.processor_seconds}};
}

ordered_json run(const std::vector<std::string>& arguments) {
  if (arguments.size() == 6 && arguments[0] == "noise") {
    write_noise(arguments);
    return ordered_json::object();
  }
  if (arguments.size() < 5)
    throw usage_error("score_probe: expected clip|diffusion BENCHMARK DATA BUNDLE OUT");
  const Benchmark& benchmark = find_benchmark(arguments[1]);
  const CaseTable table = benchmark.load({.data = arguments[2], .limit = 0, .skip_missing = false});
  if (arguments[0] == "clip") return score_clip(benchmark, table, arguments);
  if (arguments[0] == "measure") return measure(run_diffusion(table, arguments));
  if (arguments[0] == "diffusion") {
    return metrics_of(benchmark, table, run_diffusion(table, arguments).scoring.scores);
  }
  throw usage_error("score_probe: unknown task '{}'", arguments[0]);
}

}  // namespace

int main(int count, char** arguments) {
  return sdsclip::testing::probe_main(count, arguments, run);
}
