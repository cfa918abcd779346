#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>

#include "sdsclip/data/loader.h"
#include "sdsclip/models/clip_model.h"
#include "sdsclip/training/loss_scale.h"
#include "sdsclip/training/optimizer.h"

namespace sdsclip {

/// A run's progress, apart from its tensors.
struct TrainingState {
  std::int64_t step = 0;             ///< number of steps done
  LoaderPosition position;           ///< position of the next batch
  LossScale loss_scale;              ///< for fp16
  std::int64_t evaluated_step = -1;  ///< step of the last evaluation; -1: none yet
  std::int64_t best_step = -1;       ///< step of the best evaluation; -1: none yet
  double best_value = 0;             ///< `evaluate.metric` at that step
  std::int64_t worse_in_a_row = 0;   ///< evaluations since the best one
  bool stopped = false;              ///< whether `evaluate.patience` has ended the run
};

/// Bounds that a checkpoint's step and data position must respect.
struct CheckpointLimits {
  std::int64_t batch_size = 1;
  std::int64_t batches_per_epoch = 1;
  std::int64_t total_steps = std::numeric_limits<std::int64_t>::max();
  Precision precision = Precision::kFp32;
};

/// Writes `OUT/checkpoints/step-N/` whole or not at all: trained tensors, optimizer moments and state. Then
/// removes old checkpoints, as below. Throws `NotFiniteError` and writes nothing if a value is not finite.
void save_checkpoint(const std::filesystem::path& out, const TrainingState& state,
                     const std::vector<NamedTensor>& trained, const Optimizer& optimizer, std::int64_t keep);

/// Replaces the state in that step's checkpoint and keeps its tensors; then removes old checkpoints.
void save_checkpoint_state(const std::filesystem::path& out, const TrainingState& state, std::int64_t keep);

/// Removes all but the newest `keep` checkpoints and the best one.
void remove_old_checkpoints(const std::filesystem::path& out, const TrainingState& state, std::int64_t keep);

/// Restores the newest sound checkpoint that fits this run into the tensors and the optimizer, and returns
/// its state; nothing if there is no checkpoint. Other checkpoints are skipped with one warning each. Throws
/// `Error(kInput)` and changes nothing if there are checkpoints but none is sound.
std::optional<TrainingState> load_newest_checkpoint(const std::filesystem::path& out,
                                                    const CheckpointLimits& limits,
                                                    const std::vector<NamedTensor>& trained,
                                                    Optimizer& optimizer);

}  // namespace sdsclip
