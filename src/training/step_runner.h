#pragma once

#include <memory>
#include <optional>

#include "sdsclip/models/host_copy.h"
#include "sdsclip/training/checkpoint.h"
#include "sdsclip/training/optimizer.h"
#include "sdsclip/training/run_log.h"
#include "training_setup.h"

namespace sdsclip {

/// An optimizer step whose work is queued on the device, and whose measurements are not read yet.
struct PendingStep {
  std::int64_t step = 0;  ///< its number, from 1
  StepOptions options;
  std::unique_ptr<StepNumbers> numbers;
  StepTimes times;               ///< incomplete until `finish`
  double not_finite = 0;         ///< fp16: 1 if a gradient was not finite, once read
  double seconds = 0;            ///< time that the host has spent on it
  double wait = 0;               ///< of these, time spent waiting for data
  std::optional<HostCopy> copy;  ///< losses, norm of all gradients, norm of each gradient, measurements
};

/// Queues optimizer steps without waiting for the device: what decides on the device whether a step changes
/// anything, and what the host learns of it one step later.
class StepRunner {
 public:
  /// All arguments must outlive the runner. `steps` is that of the whole run.
  StepRunner(const TrainConfig& config, TrainingSetup& setup, Optimizer& optimizer, std::int64_t steps)
      : config_(config), setup_(setup), optimizer_(optimizer), steps_(steps) {}

  /// The options of the step after `state.step`. The first call takes over the state's loss scale.
  StepOptions options(const TrainingState& state);

  /// Queues the step after `state.step`. If its loss or a gradient is not finite, it changes nothing.
  std::unique_ptr<PendingStep> queue(const StepBatch& batch, const TrainingState& state);

  /// Waits for a step and completes its result and times. Updates the state's loss scale. Throws
  /// `NotFiniteError` if the loss or the gradients' norm is not finite.
  void finish(PendingStep& pending, TrainingState& state) const;

 private:
  const TrainConfig& config_;
  TrainingSetup& setup_;
  Optimizer& optimizer_;
  std::int64_t steps_;
  std::optional<DeviceLossScale> loss_scale_;  // for fp16
  std::optional<double> logit_scale_;          // where it is not trained
};

}  // namespace sdsclip
