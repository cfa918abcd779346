#include "diffusion_weights.h"

#include <fmt/format.h>

#include <cstdio>
#include <deque>

#include "sdsclip/base/error.h"
#include "sdsclip/base/filesystem.h"
#include "sdsclip/reporting/result.h"
#include "sdsclip/reporting/table.h"
#include "sdsclip/scoring/timestep_weights.h"

namespace sdsclip {
namespace {

/// A run's cases, loaded as its `result.json` says, and its errors.
struct OpenedRun {
  CaseTable table;
  ScoreStore store;
};

OpenedRun open_run(const fs::path& folder) {
  const fs::path file = folder / "result.json";
  const RunResult result = read_result(file);
  if (result.command != "diffusion-score") {
    throw input_error("{}: command: got '{}', expected diffusion-score, whose errors are what is fitted",
                      file.string(), result.command);
  }
  const ordered_json& settings = result.settings;
  if (!settings.contains("data") || !settings["data"].is_string()) {
    throw input_error("{}: settings.data: expected the data folder of the run", file.string());
  }
  const ordered_json limit = settings.value("limit", ordered_json(0));
  if (!limit.is_number_integer() || limit.get<std::int64_t>() < 0) {
    throw input_error("{}: settings.limit: expected a whole number, 0 or more", file.string());
  }
  CaseTable table =
      find_benchmark(result.benchmark)
          .load({settings["data"].get<std::string>(), limit.get<std::int64_t>(), result.skipped_missing > 0});
  ScoreStore store(folder / "scores.sqlite", {.scorer = "diffusion", .benchmark = result.benchmark}, table,
                   StoreOpening::kJudge);
  return {std::move(table), std::move(store)};
}

void print_weights(const TimestepWeights& fitted) {
  Table rows{{"timesteps", "weight"}, {}};
  const std::size_t bins = fitted.weights.size();
  const std::size_t steps = static_cast<std::size_t>(fitted.train_timesteps);
  for (std::size_t bin = 0; bin < bins; ++bin) {
    rows.rows.push_back({fmt::format("{}-{}", bin * steps / bins, (bin + 1) * steps / bins - 1),
                         fmt::format("{:.3f}", fitted.weights[bin])});
  }
  std::fputs(format_terminal(rows).c_str(), stdout);
}

}  // namespace

void run(const DiffusionWeightsCommand& command) {
  std::deque<OpenedRun> opened;  // the fit refers to them: they must not move
  std::vector<StoredRun> runs;
  for (const std::string& folder : command.runs) {
    const OpenedRun& run = opened.emplace_back(open_run(folder));
    runs.push_back({.table = &run.table, .store = &run.store});
  }
  const std::int64_t train_timesteps = train_timesteps_of(opened.front().store);
  for (std::size_t i = 1; i < opened.size(); ++i) {
    const std::int64_t own = train_timesteps_of(opened[i].store);
    if (own == train_timesteps) continue;
    throw input_error("{}: its teacher has {} timesteps, that of {} has {}; expected runs of one teacher",
                      command.runs[i], own, command.runs.front(), train_timesteps);
  }
  const TimestepWeights fitted =
      fit_timestep_weights(runs, {.train_timesteps = train_timesteps, .bins = command.bins});
  write_timestep_weights(command.out, fitted);
  print_weights(fitted);
}

}  // namespace sdsclip
