#include "train.h"

#include <fmt/format.h>

#include <cstdio>

#include "paths.h"
#include "sdsclip/base/filesystem.h"
#include "sdsclip/reporting/table.h"
#include "training_run.h"

namespace sdsclip {
namespace {

void print_summary(const TrainSummary& summary, const fs::path& out) {
  Table table{{"training run", out.string()}, {}};
  const auto row = [&](const char* name, const std::string& value) { table.rows.push_back({name, value}); };
  row("steps", fmt::format("{}", summary.steps));
  // Of a run that had finished already, the earlier process's result is shown.
  const bool is_new = summary.steps_this_process > 0;
  if (is_new) row("steps in this process", fmt::format("{}", summary.steps_this_process));
  row("trainable parameters", fmt::format("{}", summary.trained_parameters));
  const auto loss_row = [&](const char* name, const std::optional<StepTerm>& term) {
    if (term) row(name, fmt::format("{:.5g}", term->loss));
  };
  loss_row("last L_CLIP", summary.last.contrastive);
  loss_row("last L_SDS", summary.last.sds);
  loss_row("last feature loss", summary.last.feature);
  loss_row("last L_rank", summary.last.rank);
  for (const Metric& metric : summary.evaluation)
    row(metric.name.c_str(), fmt::format("{:.4f}", metric.value));
  if (summary.best_step >= 0) {
    row("best evaluation",
        fmt::format("after step {}: {}", summary.best_step, (out / "best.safetensors").string()));
  }
  if (is_new) row("bad samples replaced", fmt::format("{}", summary.bad_samples));
  row("seconds", fmt::format("{:.1f}", summary.seconds));
  if (is_new) row("share of time waiting for data", fmt::format("{:.3f}", summary.wait_share));
  row("tuned weights", (out / "tuned.safetensors").string());
  std::fputs(format_terminal(table).c_str(), stdout);
}

}  // namespace

void run(const TrainCommand& command) {
  const fs::path file = config_path(command.training.config);
  const TrainConfig config = read_train_config(file, command.training);
  if (command.print_config) {
    std::fputs(to_yaml(list_options(config), /*with_docs=*/true).c_str(), stdout);
    return;
  }
  const fs::path out = !command.out.empty() ? fs::path(command.out) : fs::path("runs") / file.stem();
  const TrainRun run = training_run(command.training, out, command.resume, command.quiet);
  print_summary(train_and_record(with_bundle_paths(config), run), run.out);
}

}  // namespace sdsclip
