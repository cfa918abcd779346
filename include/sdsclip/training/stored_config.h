#pragma once

#include <filesystem>

#include "sdsclip/training/config.h"

namespace sdsclip {

/// Writes `config.yaml`, which `--resume` reads.
void write_config(const TrainConfig& config, const std::filesystem::path& file);

/// Compares the configuration of the run to which `file` belongs with `config`, value by value. An option
/// that an older version did not write has its default. Throws `Error(kUsage)` that names every option that
/// differs, and `Error(kInput)` if the file is damaged. Options that change results by no more than float
/// rounding (micro-batches, workers, how often to save) may differ; the log then says so. Returns whether any
/// of these differs.
bool check_same_run(const std::filesystem::path& file, const TrainConfig& config);

}  // namespace sdsclip
