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

/// Where a run stands, apart from its tensors.
struct TrainingState {
  std::int64_t step = 0;             ///< steps that are done
  LoaderPosition position;           ///< of the next batch
  LossScale loss_scale;              ///< of float16
  std::int64_t evaluated_step = -1;  ///< of the last evaluation; -1: none yet
  std::int64_t best_step = -1;       ///< of the evaluation with the best value; -1: none yet
  double best_value = 0;             ///< of `evaluate.metric`, there
  std::int64_t worse_in_a_row = 0;   ///< evaluations since the best one
  bool stopped = false;              ///< `evaluate.patience` has ended the run
};

/// What a checkpoint's place in the run and in the data must agree with.
struct CheckpointLimits {
  std::int64_t batch_size = 1;
  std::int64_t batches_per_epoch = 1;
  std::int64_t total_steps = std::numeric_limits<std::int64_t>::max();
};

/// Writes `OUT/checkpoints/step-N/` whole or not at all: the trained tensors, the optimizer's moments and the
/// state. Then removes old ones, as below. Throws `NotFiniteError`, and writes nothing, where a number is not
/// finite.
void save_checkpoint(const std::filesystem::path& out, const TrainingState& state,
                     const std::vector<NamedTensor>& trained, const Optimizer& optimizer, std::int64_t keep);

/// Replaces the state of the checkpoint of that step, whose tensors stay as they are; then removes old ones.
void save_checkpoint_state(const std::filesystem::path& out, const TrainingState& state, std::int64_t keep);

/// Removes all but the newest `keep` checkpoints and the best one.
void remove_old_checkpoints(const std::filesystem::path& out, const TrainingState& state, std::int64_t keep);

/// Restores the newest checkpoint that is sound and fits this run into the tensors and the optimizer, and
/// returns its state; nothing where there is none at all. Others are passed over with a warning each. Throws
/// `Error(kInput)` where there are some and none is sound; then nothing is changed.
std::optional<TrainingState> load_newest_checkpoint(const std::filesystem::path& out,
                                                    const CheckpointLimits& limits,
                                                    const std::vector<NamedTensor>& trained,
                                                    Optimizer& optimizer);

}  // namespace sdsclip
