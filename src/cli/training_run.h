#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "sdsclip/cli/arguments.h"
#include "sdsclip/training/trainer.h"

namespace sdsclip {

/// The configuration in `file`, overlaid by the settings (`key=value`), in their order. Throws
/// `Error(kUsage)`.
TrainConfig read_train_config(const std::filesystem::path& file, std::span<const std::string> settings);

/// What --seed and --precision say, as settings; nothing where they are not given.
std::vector<std::string> common_settings(const CommonArguments& common);

/// The same configuration with its bundles' folders looked up below SDSCLIP_MODELS.
TrainConfig with_bundle_paths(TrainConfig config);

/// The names of the metrics of `result.json`. Reads the benchmarks' cases.
std::vector<std::string> metric_names(const TrainConfig& config);

/// Trains and writes `run.out/result.json`, which stays as it is where the run had finished already.
TrainSummary train_and_record(const TrainConfig& config, const TrainRun& run);

}  // namespace sdsclip
