#pragma once

#include <filesystem>

#include "sdsclip/training/config.h"

namespace sdsclip {

/// Writes `config.yaml` as `--resume` will read it.
void write_config(const TrainConfig& config, const std::filesystem::path& file);

/// Compares the configuration of the run in whose folder `file` lies with `config`, value by value: an option
/// that an older version did not write has its default. Throws `Error(kUsage)` that names every option that
/// differs, `Error(kInput)` on a file that is damaged. Options that change no result beyond float rounding
/// (micro-batches) or none at all (workers, how often to save) may differ; then says so in the log. Returns
/// whether any of those does.
bool check_same_run(const std::filesystem::path& file, const TrainConfig& config);

}  // namespace sdsclip
