#include "training_run.h"

#include <fmt/format.h>

#include <optional>

#include "paths.h"
#include "results.h"
#include "sdsclip/base/error.h"
#include "sdsclip/base/folder_lock.h"
#include "sdsclip/base/log.h"
#include "sdsclip/base/sha256.h"
#include "sdsclip/reporting/result.h"

namespace sdsclip {
namespace {

RunResult to_result(const TrainConfig& config, const TrainSummary& summary, const fs::path& out) {
  RunResult result = new_result("train", "");
  result.model = {config.clip, sha256_of_file(out / "tuned.safetensors")};
  result.settings = settings_json(list_options(config));
  if (!summary.teacher_graph.empty()) result.settings["teacher_graph"] = summary.teacher_graph;
  result.seconds = summary.seconds;
  result.work = summary.work;
  const auto add = [&](const std::string& name, std::optional<double> value) {
    if (value) result.metrics.push_back({name, *value, 1, {*value, *value}, 0});
  };
  add("train/last_loss/total", summary.last.total);
  const auto add_term = [&](const std::string& name, const std::optional<StepTerm>& term) {
    if (term) add(name, term->loss);
  };
  add_term("train/last_loss/contrastive", summary.last.contrastive);
  add_term("train/last_loss/sds", summary.last.sds);
  add_term("train/last_loss/feature", summary.last.feature);
  add_term("train/last_loss/rank", summary.last.rank);
  result.metrics.insert(result.metrics.end(), summary.evaluation.begin(), summary.evaluation.end());
  return result;
}

}  // namespace

TrainConfig read_train_config(const fs::path& file, const TrainingOptions& options) {
  ConfigNode root = read_configuration(file);
  for (const std::string& setting : options.settings) apply_setting(root, setting, "--set");
  TrainConfig config;
  bind_options(root, config);
  if (options.seed) config.seed = *options.seed;
  if (options.precision) config.train.precision = *options.precision;
  if (options.compiled) config.train.compiled = *options.compiled;
  if (options.deterministic) config.train.deterministic = *options.deterministic;
  return config;
}

TrainRun training_run(const TrainingOptions& options, const fs::path& out, bool resume, bool quiet) {
  return {.out = out,
          .resume = resume,
          .quiet = quiet,
          .device = options.compute.device,
          .threads = options.compute.threads};
}

TrainConfig with_bundle_paths(TrainConfig config) {
  config.clip = bundle_path(config.clip).string();
  if (!config.teacher.empty()) config.teacher = bundle_path(config.teacher).string();
  return config;
}

std::vector<std::string> metric_names(const TrainConfig& config) {
  std::vector<std::string> names = {"train/last_loss/total"};
  const auto add = [&](double weight, const char* name) {
    if (weight > 0) names.push_back(std::string("train/last_loss/") + name);
  };
  add(config.contrastive.weight, "contrastive");
  add(config.sds.lambda, "sds");
  add(config.feature.weight, "feature");
  add(config.rank.weight, "rank");
  for (std::string& name : Evaluation(config.evaluate, config.data).metric_names())
    names.push_back(std::move(name));
  return names;
}

TrainSummary train_and_record(const TrainConfig& config, const TrainRun& run) {
  const FolderLock lock(run.out);
  TrainSummary summary = train(config, run);
  if (summary.steps_this_process == 0) {
    if (const std::optional<RunResult> stored = stored_result(run.out)) {
      log_info("{}: had finished already", run.out.string());
      summary.seconds = stored->seconds;
      return summary;
    }
  }
  write_result(run.out / "result.json", to_result(config, summary, run.out));
  return summary;
}

}  // namespace sdsclip
