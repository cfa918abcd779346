#pragma once

#include "sdsclip/data/loader.h"
#include "sdsclip/training/step.h"
#include "training_setup.h"

namespace sdsclip {

/// Turns a loader's batch into the step's: text columns of the captions, then of hard negatives, then of
/// candidates that are not there yet. `batch` must outlive the result.
StepBatch assemble_batch(const TrainConfig& config, const TrainingSetup& setup, const Batch& batch);

}  // namespace sdsclip
