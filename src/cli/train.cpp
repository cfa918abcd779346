#include <fmt/format.h>

#include <cstdio>
#include <filesystem>

#include "commands.h"
#include "paths.h"
#include "results.h"
#include "sdsclip/base/error.h"
#include "sdsclip/base/log.h"
#include "sdsclip/base/sha256.h"
#include "sdsclip/reporting/result.h"
#include "sdsclip/reporting/table.h"
#include "sdsclip/training/trainer.h"

namespace sdsclip {
namespace {

namespace fs = std::filesystem;

TrainConfig read_train_config(const Arguments& arguments, const fs::path& file) {
  ConfigNode root = read_configuration(file);
  for (const std::string& setting : arguments.train.settings) apply_setting(root, setting);
  if (arguments.common.seed) apply_setting(root, fmt::format("seed={}", *arguments.common.seed));
  if (arguments.common.precision != "fp32") {
    apply_setting(root, fmt::format("train.precision={}", arguments.common.precision));
  }
  TrainConfig config;
  bind_options(root, config);
  return config;
}

RunResult to_result(const TrainConfig& config, const TrainSummary& summary, const fs::path& out) {
  RunResult result = new_result("train", "");
  result.model = {config.clip, sha256_of_file(out / "tuned.safetensors")};
  result.settings = settings_json(list_options(config));
  result.seconds = summary.seconds;
  result.work.unet_evaluations = summary.work.unet_evaluations;
  result.work.text_encodings = summary.work.text_encodings;
  result.work.image_encodings = summary.image_encodings;
  const auto add = [&](const std::string& name, std::optional<double> value) {
    if (value) result.metrics.push_back({name, *value, 1, {*value, *value}, 0});
  };
  add("train/last_loss/total", summary.last.total);
  add("train/last_loss/contrastive", summary.last.contrastive);
  add("train/last_loss/sds", summary.last.sds);
  return result;
}

}  // namespace

void run_train(const Arguments& arguments) {
  const fs::path file = config_path(arguments.train.config);
  TrainConfig config = read_train_config(arguments, file);
  if (arguments.train.print_config) {
    std::fputs(to_yaml(list_options(config), /*with_docs=*/true).c_str(), stdout);
    return;
  }
  config.clip = bundle_path(config.clip).string();
  if (!config.teacher.empty()) config.teacher = bundle_path(config.teacher).string();
  TrainRun run;
  run.out = !arguments.train.out.empty() ? fs::path(arguments.train.out) : fs::path("runs") / file.stem();
  run.resume = arguments.train.resume;
  run.quiet = arguments.common.quiet;
  run.device = arguments.common.device;
  run.threads = arguments.common.threads;
  const TrainSummary summary = train(config, run);
  if (summary.steps_this_life == 0) {
    log_info("{}: had finished already", run.out.string());
    if (fs::exists(run.out / "result.json")) return;
  }
  write_result(run.out / "result.json", to_result(config, summary, run.out));

  Table table{{"training run", run.out.string()}, {}};
  const auto row = [&](const char* name, const std::string& value) { table.rows.push_back({name, value}); };
  row("steps", fmt::format("{}", summary.steps));
  row("steps in this life", fmt::format("{}", summary.steps_this_life));
  row("trained numbers", fmt::format("{}", summary.trained_parameters));
  if (summary.last.contrastive) row("last L_CLIP", fmt::format("{:.5g}", *summary.last.contrastive));
  if (summary.last.sds) row("last L_SDS", fmt::format("{:.5g}", *summary.last.sds));
  row("bad samples replaced", fmt::format("{}", summary.bad_samples));
  row("seconds", fmt::format("{:.1f}", summary.seconds));
  row("share of time waiting for data", fmt::format("{:.3f}", summary.wait_share));
  row("tuned weights", (run.out / "tuned.safetensors").string());
  std::fputs(format_terminal(table).c_str(), stdout);
}

}  // namespace sdsclip
