#pragma once

#include <string>
#include <vector>

#include "sdsclip/base/filesystem.h"
#include "sdsclip/training/trainer.h"
#include "shared_options.h"

namespace sdsclip {

/// The configuration in `file`, overridden by `--set`, and that by the flags of their own. Throws
/// `Error(kUsage)`.
TrainConfig read_train_config(const fs::path& file, const TrainingOptions& options);

/// What does not change the results of a run.
TrainRun training_run(const TrainingOptions& options, const fs::path& out, bool resume, bool quiet);

/// The same configuration with its bundles' folders looked up below SDSCLIP_MODELS.
TrainConfig with_bundle_paths(TrainConfig config);

/// The names of the metrics of `result.json`. Reads the benchmarks' cases.
std::vector<std::string> metric_names(const TrainConfig& config);

/// Trains and writes `run.out/result.json`, which stays as it is where the run had finished already.
TrainSummary train_and_record(const TrainConfig& config, const TrainRun& run);

}  // namespace sdsclip
