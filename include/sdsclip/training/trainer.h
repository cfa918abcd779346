#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "sdsclip/benchmarks/metrics.h"
#include "sdsclip/models/teacher.h"
#include "sdsclip/training/config.h"
#include "sdsclip/training/step.h"

namespace sdsclip {

/// What a training run is told beside its configuration: nothing here changes its results.
struct TrainRun {
  std::filesystem::path out;  ///< created; holds config.yaml, log.jsonl, checkpoints/, tuned.safetensors
  bool resume = false;        ///< go on with the run in `out`, if there is one
  bool quiet = false;         ///< no progress bar
  std::string device = "auto";
  std::int64_t threads = 0;  ///< 0: one a core
};

/// What a finished run did.
struct TrainSummary {
  std::int64_t steps = 0;               ///< that are done, in all lives of the run
  std::int64_t steps_this_life = 0;     ///< of them since the start or the last resume
  std::int64_t trained_parameters = 0;  ///< numbers that train, h_w's included
  StepResult last;                      ///< the last step's losses
  std::vector<Metric> evaluation;       ///< the last evaluation's metrics; empty without `evaluate`
  std::int64_t best_step = -1;          ///< of the best evaluation; -1: there was none
  std::int64_t bad_samples = 0;         ///< replaced ones in this life
  double seconds = 0;                   ///< this life's
  double wait_share = 0;                ///< of them waiting for data
  TeacherWork work;                     ///< this life's
  std::int64_t image_encodings = 0;     ///< this life's
};

/// What the configuration says of step number `step`, counted from 0. Not scaled: `loss_scale` is 1.
StepOptions step_options(const TrainConfig& config, std::int64_t step);

/// Algorithm 1 of the paper: fine-tunes CLIP with L_CLIP + lambda L_SDS and writes what a run leaves (DESIGN)
/// into `run.out`, with checkpoints on the way and on SIGINT or SIGTERM (then throws `Error(kInterrupted)`).
/// The same configuration, device and threads give the same bits, however often the run was killed and
/// resumed.
///
/// Throws `Error(kUsage)` on a configuration that cannot be, on an `out` that holds another run, and where
/// L_SDS reaches no trained parameter of CLIP; `Error(kInput)` on bad bundles or data; `Error(kRuntime)` on a
/// loss that is not finite.
TrainSummary train(const TrainConfig& config, const TrainRun& run);

}  // namespace sdsclip
