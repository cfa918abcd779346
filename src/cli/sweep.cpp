#include "sdsclip/training/sweep.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <map>

#include "failure.h"
#include "paths.h"
#include "sdsclip/base/files.h"
#include "sdsclip/base/folder_lock.h"
#include "sdsclip/base/log.h"
#include "sdsclip/base/text.h"
#include "sdsclip/reporting/result.h"
#include "sdsclip/reporting/table.h"
#include "sdsclip/training/stored_config.h"
#include "sweep.h"
#include "training_run.h"

namespace sdsclip {
namespace {

constexpr const char* kSweepFile = "sweep.json";
constexpr std::string_view kLosses = "train/last_loss/";
constexpr const char* kLastLoss = "train/last_loss/total";

/// A sweep as it is to be run: `configs[i]` is that of `points[i]`.
struct Sweep {
  fs::path out;
  std::string config;  // as on the command line
  std::vector<SweepPoint> points;
  std::vector<TrainConfig> configs;
  std::string metric;
};

std::vector<SweepPoint> points_of(const SweepCommand& command) {
  std::vector<GridAxis> axes;
  for (const std::string& axis : command.grid) axes.push_back(parse_grid_axis(axis));
  return grid_points(axes);
}

/// Throws `Error(kUsage)` that names the point where its configuration cannot be.
TrainConfig config_of(const SweepPoint& point, const SweepCommand& command, const fs::path& file) {
  try {
    TrainConfig config = read_train_config(file, command.training);
    ConfigNode axes;
    for (const auto& [key, value] : point.settings) {
      apply_setting(axes, fmt::format("{}={}", key, value), "--grid");
    }
    bind_options(axes, config);
    config = with_bundle_paths(std::move(config));
    check_train_config(config);
    return config;
  } catch (const Error& error) {
    throw Error(error.exit_code(), fmt::format("--grid: point {}: {}", point.name, error.what()));
  }
}

std::string metric_of(const SweepCommand& command, const TrainConfig& config) {
  const std::string by_default = deciding_metric(config.evaluate);
  if (command.metric.empty()) return by_default.empty() ? kLastLoss : by_default;
  if (by_default.empty() && !command.metric.starts_with(kLosses)) {
    throw usage_error(
        "--metric: got {}, but the configuration evaluates nothing; set evaluate.benchmarks, or name a loss, "
        "such as {}",
        command.metric, kLastLoss);
  }
  return command.metric;
}

bool is_done(const fs::path& out) {
  return is_there(out / "config.yaml") && is_there(out / "result.json");
}

/// Fails where `out` holds runs that this sweep must not touch.
void check_folders(const Sweep& sweep, bool resume) {
  for (std::size_t i = 0; i < sweep.points.size(); ++i) {
    const fs::path file = sweep.out / sweep.points[i].name / "config.yaml";
    if (!is_there(file)) continue;
    if (!resume) {
      throw usage_error("{}: holds a sweep already; continue it with --resume, or choose another --out",
                        sweep.out.string());
    }
    check_same_run(file, sweep.configs[i]);
  }
}

/// Throws `Error(kUsage)` where a run that is to be made would not give the metric.
void check_metric(const Sweep& sweep) {
  std::map<std::string, std::vector<std::string>> known;  // reading a benchmark's cases takes its time
  for (std::size_t i = 0; i < sweep.points.size(); ++i) {
    if (is_done(sweep.out / sweep.points[i].name)) continue;
    const TrainConfig& config = sweep.configs[i];
    const std::string losses =
        fmt::format("{} {} {} {}", config.contrastive.weight > 0, config.sds.lambda > 0,
                    config.feature.weight > 0, config.rank.weight > 0);
    std::vector<std::string>& names = known[to_yaml(list_options(config.evaluate)) + losses];
    if (names.empty()) names = metric_names(config);
    if (std::find(names.begin(), names.end(), sweep.metric) != names.end()) continue;
    throw usage_error("--metric: got {}, which point {} does not give; expected one of {}{}", sweep.metric,
                      sweep.points[i].name, join(names, ", "), did_you_mean(sweep.metric, names));
  }
}

Sweep plan_sweep(const SweepCommand& command) {
  const fs::path file = config_path(command.training.config);
  Sweep sweep;
  sweep.config = command.training.config;
  sweep.out = !command.out.empty() ? fs::path(command.out)
                                   : fs::path("runs") / fmt::format("{}-sweep", file.stem().string());
  sweep.points = points_of(command);
  for (const SweepPoint& point : sweep.points) sweep.configs.push_back(config_of(point, command, file));
  sweep.metric = metric_of(command, sweep.configs.front());
  check_folders(sweep, command.resume);
  check_metric(sweep);
  return sweep;
}

/// Trains the point, or reads what it left where it was done before, and returns its metric.
std::optional<double> run_point(const Sweep& sweep, std::size_t index, const SweepCommand& command) {
  const SweepPoint& point = sweep.points[index];
  const TrainRun run = training_run(command.training, sweep.out / point.name, /*resume=*/true, command.quiet);
  const bool done = is_done(run.out);
  log_info("point {} of {}: {}{}", index + 1, sweep.points.size(), point.name, done ? ": done before" : "");
  try {
    if (!done) train_and_record(sweep.configs[index], run);
    const std::vector<Metric> metrics = read_result(run.out / "result.json").metrics;
    const std::optional<Metric> metric = find_metric(metrics, sweep.metric);
    return metric ? std::optional<double>(metric->value) : std::nullopt;
  } catch (const std::exception&) {
    const Error failure = current_failure();
    if (failure.exit_code() != ExitCode::kInterrupted) log_warning("{}: {}", point.name, failure.what());
    throw failure;
  }
}

/// A wrong metric is found out by the first run that is done, not by the last.
void check_has_metric(const Sweep& sweep, std::span<const SweepOutcome> outcomes) {
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    if (outcomes[i].status != SweepStatus::kDone || outcomes[i].value) continue;
    std::vector<std::string> known;
    const fs::path file = sweep.out / sweep.points[i].name / "result.json";
    for (const Metric& metric : read_result(file).metrics) known.push_back(metric.name);
    throw usage_error("--metric: got {}, which {} does not have; expected one of {}; run again with --resume",
                      sweep.metric, file.string(), join(known, ", "));
  }
}

ordered_json to_json(const Sweep& sweep, std::span<const SweepOutcome> outcomes) {
  const bool higher = higher_is_better(sweep.metric);
  ordered_json points = ordered_json::array();
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    ordered_json point = {{"name", sweep.points[i].name}, {"settings", ordered_json::object()}};
    for (const auto& [key, value] : sweep.points[i].settings) point["settings"][key] = value;
    point["status"] = name_of(outcomes[i].status);
    if (outcomes[i].value) point["value"] = *outcomes[i].value;
    if (!outcomes[i].failure.empty()) point["failure"] = outcomes[i].failure;
    points.push_back(std::move(point));
  }
  ordered_json best = nullptr;
  if (const std::optional<std::size_t> index = best_outcome(outcomes, higher))
    best = sweep.points[*index].name;
  return {{"schema", 1},
          {"command", "sweep"},
          {"config", sweep.config},
          {"metric", sweep.metric},
          {"better", higher ? "higher" : "lower"},
          {"points", points},
          {"best", best}};
}

Table to_table(const Sweep& sweep, std::span<const SweepOutcome> outcomes) {
  const std::optional<std::size_t> best = best_outcome(outcomes, higher_is_better(sweep.metric));
  Table table;
  for (const auto& [key, value] : sweep.points.front().settings) table.header.push_back(key);
  table.header.push_back(sweep.metric);
  table.header.push_back("status");
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    std::vector<std::string> row;
    for (const auto& [key, value] : sweep.points[i].settings) row.push_back(value);
    row.push_back(outcomes[i].value ? fmt::format("{:.5g}", *outcomes[i].value) : "-");
    row.push_back(best == i ? "best" : std::string(name_of(outcomes[i].status)));
    table.rows.push_back(std::move(row));
  }
  return table;
}

void write_state(const Sweep& sweep, std::span<const SweepOutcome> outcomes) {
  write_file_atomically(sweep.out / kSweepFile, to_json(sweep, outcomes).dump(2) + "\n");
  write_file_atomically(sweep.out / "table.md", format_markdown(to_table(sweep, outcomes)));
}

}  // namespace

void run(const SweepCommand& command) {
  const Sweep sweep = plan_sweep(command);
  const FolderLock lock(sweep.out);
  const std::vector<SweepOutcome> outcomes = run_points(
      sweep.points.size(), [&](std::size_t index) { return run_point(sweep, index, command); },
      [&](std::span<const SweepOutcome> so_far) {
        check_has_metric(sweep, so_far);
        write_state(sweep, so_far);
      });

  std::fputs(format_terminal(to_table(sweep, outcomes)).c_str(), stdout);
  const std::optional<std::size_t> best = best_outcome(outcomes, higher_is_better(sweep.metric));
  if (best) {
    std::printf("best: %s (%s %.5g)\n",
                terminal_text((sweep.out / sweep.points[*best].name).string()).c_str(), sweep.metric.c_str(),
                *outcomes[*best].value);
  }
  const auto failed = std::count_if(outcomes.begin(), outcomes.end(), [](const SweepOutcome& outcome) {
    return outcome.status == SweepStatus::kFailed;
  });
  if (failed > 0) {
    throw runtime_failure("{} of {} points failed ({} says why); try them again with --resume", failed,
                          outcomes.size(), (sweep.out / kSweepFile).string());
  }
}

}  // namespace sdsclip
